// In a file of its own, so that a command can tell it apart without loading what reads the configuration.

/** The variables make no cluster. The message is one line for the user; a stack would say nothing more. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}
