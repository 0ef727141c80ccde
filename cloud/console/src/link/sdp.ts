/** What both ends sign of an SDP: the SHA-256 of the DTLS certificate. */
import { type Bytes, equal, fromHex } from "../wire/bytes";
import { type VerifiedOpening } from "../trust/opening";
import { Untrusted, require } from "../trust/untrusted";
import { openStatement } from "../wire/statement";

/** The SDP's one fingerprint. An SDP that has none, another hash, or two different ones is refused. */
export function dtlsFingerprint(sdp: string): Bytes {
  const lines = [...sdp.matchAll(/^a=fingerprint:(\S+) (\S+)\s*$/gim)];
  const found = lines.map(([, hash, value]) =>
    hash?.toLowerCase() === "sha-256" ? fromHex((value ?? "").replaceAll(":", "").toLowerCase(), 32) : undefined,
  );
  const [first] = found;
  if (first === undefined || found.some((one) => one === undefined || !equal(one, first))) {
    throw new Untrusted("the connection's description has no single SHA-256 fingerprint");
  }
  return first;
}

/** Throws unless the edge box of the proven opening signed exactly this description, for this nonce. */
export async function checkAnswer(
  sdp: string,
  signed: Uint8Array,
  opening: VerifiedOpening,
  nonce: Uint8Array,
): Promise<void> {
  const { author, session, said } = await openStatement(signed);
  require(equal(author, opening.edge), "the answer is signed by another key than the session's edge box");
  require(equal(session, opening.session), "the answer is signed for another session");
  require(said.is === "fingerprint", "the answer is signed as something else");
  require(equal(said.nonce, nonce), "the answer is signed for another connection");
  require(
    equal(said.dtlsSha256, dtlsFingerprint(sdp)),
    "the connection's fingerprint is not the one that the edge box signed",
  );
}
