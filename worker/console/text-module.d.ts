// Text modules, as Wrangler and the bundler of local clusters know them by their name.
declare module "*.txt" {
  const text: string;
  export default text;
}
