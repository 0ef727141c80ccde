/** A session's manifest: what else a verifier must know. */
import { TRUST_BYTES_MAX, type TrustRoot, furtherOf, parseTrustRoot } from "../trust/root";
import { type Bytes } from "../wire/bytes";
import { MANIFEST_BYTES_MAX, readParts } from "./container";
import { type Source } from "./source";
import { Fields, fromCbor } from "../wire/cbor";
import { Malformed } from "../wire/malformed";

const FORMAT = "farhand manifest v1";
const SOFTWARE_MAX = 64;

/** What bound people to their session keys. */
export const BINDINGS = ["a one-time link", "a passkey"] as const;

export interface Manifest {
  readonly session: Bytes;
  /** The trust root that the bundle brings, with the epochs that its edge box knew. It proves nothing by itself. */
  readonly trust: Bytes;
  readonly binding: (typeof BINDINGS)[number];
  readonly software: readonly { readonly name: string; readonly digest: Bytes }[];
}

export function readManifest(bytes: Uint8Array): Manifest {
  const f = new Fields("manifest", fromCbor("manifest", bytes, MANIFEST_BYTES_MAX), 5);
  const format = f.text(64);
  if (format !== FORMAT) throw new Malformed(`format is "${format}", expected "${FORMAT}"`);
  const [session, trust] = [f.bytes(16), f.bytes()];
  if (trust.length > TRUST_BYTES_MAX) throw new Malformed(`a trust root of ${trust.length} bytes, at most ${TRUST_BYTES_MAX} are allowed`);
  const binding = BINDINGS[f.number(BINDINGS.length - 1)] as Manifest["binding"];
  const software = f.list("programs", SOFTWARE_MAX, (item) => {
    const program = item.record("program", 2);
    const name = program.text(64);
    if (name === "") throw new Malformed("a program's name is empty");
    return { name, digest: program.bytes(32) };
  });
  return { session, trust, binding, software };
}

/** The trust root to prove parts of a bundle by, that was verified: the one given, or the bundle's own where it leads further. */
export async function trustFor(source: Source, given: TrustRoot | undefined): Promise<TrustRoot> {
  const { manifest } = await readParts(source);
  const bytes = await source.read(manifest.from, manifest.to);
  const own = async () => parseTrustRoot(readManifest(bytes).trust);
  if (given === undefined) return own();
  return own().then((root) => furtherOf(given, root) ?? given, () => given);
}
