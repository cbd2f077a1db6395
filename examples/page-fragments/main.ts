// Visits the Worker beside this file as a browser would. EXAMPLE_URL says where it runs.

const { EXAMPLE_URL: base } = process.env;
if (base === undefined) throw new Error("set EXAMPLE_URL to where the Worker runs; `npm run examples` does");

async function visit(product: string): Promise<string> {
  const response = await fetch(`${base}/?product=${product}`);
  if (!response.ok) throw new Error(`the page answered ${response.status}`);
  return (await response.text()).replaceAll(/<\/?section>/g, "").trim();
}

async function change(product: string): Promise<void> {
  const { ok } = await fetch(`${base}/changed?product=${product}`, { method: "POST" });
  if (!ok) throw new Error("the purge failed");
}

const first = await visit("tea");
console.log(first);
console.log(`the same again: ${(await visit("tea")) === first}`);
await visit("milk");
await change("tea");
console.log(await visit("tea"));
console.log(`milk untouched: ${(await visit("milk")).includes("product milk, rendering 4")}`);

export {};
