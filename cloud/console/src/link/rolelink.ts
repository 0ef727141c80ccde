/**
 * Role links: `/operate/LINK#SEED.TRUST` or `/operate/LINK#SEED.TRUST.SESSION`. The fragment never leaves the browser: the seed
 * of the link's key, the SHA-256 of the ledger's genesis, and the session that the link is for, if it names one. The seed endorses
 * this browser's session key once, and is forgotten.
 */
import { type Bytes, fromBase64Url, fromHex } from "../wire/bytes";
import { SessionSigner, signerFromSeed } from "../wire/ed25519";
import { signStatement } from "../wire/statement";

export const PAGES = ["operate", "bedside", "field", "audit", "line"] as const;
export type Page = (typeof PAGES)[number];

export interface Place {
  readonly page: Page;
  /** Names the link to the server; 16 bytes, lower-case hex. */
  readonly link: string;
}

export interface Secret {
  readonly seed: Bytes;
  readonly trust: Bytes;
  /** Where the link leaves it out, the server names it, and the proven opening must have the link's key on its roster. */
  readonly session: Bytes | undefined;
}

/** Who this browser is in a session. */
export interface Identity {
  readonly link: string;
  readonly session: Bytes;
  /** SHA-256 of the ledger's genesis. */
  readonly trust: Bytes;
  /** The key that the hospital has put on the roster. */
  readonly linkKey: Bytes;
  /** The link's signed word for the session key. */
  readonly endorsement: Bytes;
  readonly signer: SessionSigner;
}

export function readPlace(path: string): Place | undefined {
  const [, page, link, ...rest] = path.split("/");
  const known = PAGES.find((one) => one === page);
  if (known === undefined || link === undefined || rest.some((part) => part !== "")) return undefined;
  return fromHex(link, 16) === undefined ? undefined : { page: known, link };
}

export function readSecret(fragment: string): Secret | undefined {
  const [seed, trust, session, ...rest] = fragment.replace(/^#/, "").split(".");
  const read = (text: string | undefined, length: number) => bytesOf(text ?? "", length);
  const [a, b, c] = [read(seed, 32), read(trust, 32), read(session, 16)];
  const whole = rest.length === 0 && (session === undefined || c !== undefined);
  return whole && a && b ? { seed: a, trust: b, session: c } : undefined;
}

/** A new session key, endorsed by the link. */
export async function endorse(link: string, secret: Secret, session: Bytes): Promise<Identity> {
  const linkSigner = await signerFromSeed(secret.seed);
  const signer = await SessionSigner.generate();
  const said = { is: "endorse", sessionKey: signer.publicKey } as const;
  const endorsement = await signStatement({ session, said }, linkSigner);
  return { link, session, trust: secret.trust, linkKey: linkSigner.publicKey, endorsement, signer };
}

/** Hex or base64url; their lengths tell them apart. */
function bytesOf(text: string, length: number): Bytes | undefined {
  const bytes = fromHex(text, length) ?? fromBase64Url(text);
  return bytes?.length === length ? bytes : undefined;
}
