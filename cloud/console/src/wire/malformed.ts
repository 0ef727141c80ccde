/** Why bytes are not a message. Nothing about them is believed. */
export class Malformed extends Error {
  override name = "Malformed";
}
