/**
 * The trust root that the auditor brings, kept in this browser alone. **Without it no verdict is more than "self-consistent"**: a bundle
 * and a server can both name a ledger of their own.
 */
import { signal } from "@preact/signals";
import { fingerprintOf, parseTrustRoot } from "../../trust/root";
import { fromBase64Url, toBase64Url, toHex } from "../../wire/bytes";

export interface OwnTrust {
  /** Of the file. */
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly fingerprint: string;
}

const KEY = "audit trust root";

export const ownTrust = signal<OwnTrust | undefined>(kept());
/** Why a file was not taken. */
export const notTaken = signal<string | undefined>(undefined);

export async function take(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  notTaken.value = undefined;
  try {
    const { fingerprint } = await parseTrustRoot(bytes);
    ownTrust.value = { name, bytes, fingerprint: toHex(fingerprint) };
    localStorage.setItem(KEY, `${toBase64Url(bytes)} ${name}`);
  } catch (error) {
    notTaken.value = `${name} is no trust root: ${error instanceof Error ? error.message : String(error)}.`;
  }
}

export function forget(): void {
  ownTrust.value = undefined;
  localStorage.removeItem(KEY);
}

function kept(): OwnTrust | undefined {
  const [text, ...name] = (globalThis.localStorage?.getItem(KEY) ?? "").split(" ");
  const bytes = fromBase64Url(text ?? "");
  if (bytes === undefined || bytes.length === 0) return undefined;
  try {
    return { name: name.join(" "), bytes, fingerprint: toHex(fingerprintOf(bytes)) };
  } catch {
    return undefined; // what is no trust root any more was none that was chosen here
  }
}
