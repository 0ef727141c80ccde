/**
 * Taking a bundle out: signed here, put on the ledger by the server, and its proof checked here. **Without that record there is no
 * file**: the server hands none out, and this page offers none.
 */
import { signal } from "@preact/signals";
import { call, whyFailed } from "../../link/api";
import { type Identity } from "../../link/rolelink";
import { PROOF_BYTES_MAX, type TransactionProof, type Proven, checkProof, readProof } from "../../trust/proof";
import { type TrustRoot } from "../../trust/root";
import { require } from "../../trust/untrusted";
import { type Bytes, equal, fromHex } from "../../wire/bytes";
import { Fields, fromCbor, toCbor } from "../../wire/cbor";
import { sha256 } from "../../wire/mac";
import { Domain, seal } from "../../wire/signed";

const EXPORTED = 9;
/** A device's clock is believed to be within this of UTC. */
const UNCERTAINTY_US = 1_000_000;

export interface Wanted {
  /** In the archive. */
  readonly name: string;
  /** Marks of what is left out, as the server reads them; empty: nothing. */
  readonly without: string;
  /** The same for a person: "the bundle", "it without pictures". */
  readonly said: string;
}

/** What this device reckoned itself while it checked the bundle. */
export interface Known {
  readonly session: Bytes;
  /** SHA-256 of the whole file. */
  readonly digest: Bytes;
}

export type State =
  | { readonly is: "idle" }
  | { readonly is: "recording" }
  | { readonly is: "refused"; readonly why: string }
  | { readonly is: "recorded"; readonly wanted: Wanted; readonly offer: Offer; readonly proven: Proven; readonly signers: number; readonly validators: number };

interface Offer {
  readonly session: Bytes;
  readonly digest: Bytes;
  readonly bytes: number;
}

export class Exporter {
  readonly state = signal<State>({ is: "idle" });

  constructor(
    private readonly identity: Identity,
    private readonly trust: TrustRoot,
    private readonly known: Known,
  ) {}

  async record(wanted: Wanted): Promise<void> {
    this.state.value = { is: "recording" };
    try {
      const offer = readOffer(await call(this.#path(wanted, "export")));
      require(equal(offer.session, this.known.session), "the server would hand out a bundle of another session");
      require(wanted.without !== "" || equal(offer.digest, this.known.digest), "the server would hand out another file than this device has checked");
      const signed = await this.#sign(offer);
      const proof = await this.#commit(wanted, signed);
      const proven = await checkProof(proof, this.trust);
      require(equal(proven.hash, sha256(signed)), "the ledger's proof is of another transaction");
      const signers = proof.certificate.signatures.filter((one) => one !== undefined).length;
      const validators = proof.certificate.signatures.length;
      this.state.value = { is: "recorded", wanted, offer, proven, signers, validators };
    } catch (error) {
      this.state.value = { is: "refused", why: error instanceof Error && error.name !== "TypeError" ? error.message : whyFailed(error) };
    }
  }

  /** Where the file is, once it is recorded. */
  file(wanted: Wanted): string {
    return this.#path(wanted, "exported");
  }

  #sign({ session, digest, bytes }: Offer): Promise<Bytes> {
    const at = [Date.now() * 1000, UNCERTAINTY_US];
    return seal(Domain.transaction, this.identity.signer, toCbor([this.trust.ledger, at, [EXPORTED, [session, digest, bytes]]]));
  }

  async #commit(wanted: Wanted, signed: Bytes): Promise<TransactionProof> {
    const headers = { "Content-Type": "application/octet-stream" };
    const answer = await fetch(this.#path(wanted, "export"), { method: "POST", headers, body: signed, credentials: "same-origin", cache: "no-store" });
    if (!answer.ok) throw new Error(saidIn(await answer.json().catch(() => undefined)));
    const proof = new Uint8Array(await answer.arrayBuffer());
    return readProof(new Fields("proof", [fromCbor("proof", proof, PROOF_BYTES_MAX)], 1));
  }

  #path({ name, without }: Wanted, what: string): string {
    return `/api/audit/bundles/${name}/${what}?link=${this.identity.link}&without=${without}`;
  }
}

function readOffer(answer: Readonly<Record<string, unknown>>): Offer {
  const [session, digest, bytes] = [fromHex(String(answer["session"]), 16), fromHex(String(answer["sha256"]), 32), answer["bytes"]];
  if (session === undefined || digest === undefined || typeof bytes !== "number" || !Number.isSafeInteger(bytes)) {
    throw new Error("The server does not say what it would hand out.");
  }
  return { session, digest, bytes };
}

function saidIn(body: unknown): string {
  const error = (body as { error?: { message?: unknown } } | undefined)?.error?.message;
  return typeof error === "string" ? error : "The server did not record it, and did not say why.";
}
