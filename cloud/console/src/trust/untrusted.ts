/** Why something is not believed. The message names what was seen and what was expected. */
export class Untrusted extends Error {
  override name = "Untrusted";
}

export function require(holds: boolean, why: string): asserts holds {
  if (!holds) throw new Untrusted(why);
}
