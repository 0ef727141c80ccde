/** The one envelope: kind, version, author (32), signature (64), body. The signature covers domain ‖ author ‖ body. */
import { type Bytes, ascii, concat } from "./bytes";
import { type Signer, verify } from "./ed25519";
import { Kind, VERSION, kindOf } from "./kind";
import { Malformed } from "./malformed";

export const SIGNED_BYTES_MAX = 16 * 1024;
const HEAD = 2 + 32 + 64;

/** What kind of thing is signed; never sent. */
export const Domain = {
  statement: ascii("farhand/v1 statement\0"),
  transaction: ascii("farhand/v1 transaction\0"),
  kitSegment: ascii("farhand/v1 kit segment\0"),
  surgeonSegment: ascii("farhand/v1 surgeon segment\0"),
  displayReport: ascii("farhand/v1 display report\0"),
  epochEnd: ascii("farhand/v1 epoch end\0"),
} as const;

export interface Envelope {
  readonly author: Bytes;
  readonly body: Bytes;
}

export async function seal(domain: Uint8Array, signer: Signer, body: Uint8Array): Promise<Bytes> {
  const signature = await signer.sign(concat(domain, signer.publicKey, body));
  const whole = concat(Uint8Array.of(Kind.Signed, VERSION), signer.publicKey, signature, body);
  if (whole.length > SIGNED_BYTES_MAX) {
    throw new RangeError(`a signed message has ${whole.length} bytes, at most ${SIGNED_BYTES_MAX} are allowed`);
  }
  return whole;
}

/** Author and body, if the author signed them as that kind of thing. */
export async function open(domain: Uint8Array, bytes: Uint8Array): Promise<Envelope> {
  if (kindOf(bytes) !== Kind.Signed) throw new Malformed(`message kind ${bytes[0]} was not expected here`);
  if (bytes.length > SIGNED_BYTES_MAX) {
    throw new Malformed(`the message has ${bytes.length} bytes, at most ${SIGNED_BYTES_MAX} are allowed`);
  }
  if (bytes.length < HEAD) throw new Malformed(`the message has ${bytes.length} bytes, expected at least ${HEAD}`);
  const author = bytes.slice(2, 34);
  const body = bytes.slice(HEAD);
  if (!(await verify(author, concat(domain, author, body), bytes.slice(34, HEAD)))) {
    throw new Malformed("the signature is not by the author");
  }
  return { author, body };
}
