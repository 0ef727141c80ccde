/**
 * Taking control: ask, check what the kit grants, agree on keys, confirm. **Keys are used only for a transcript that the
 * kit of the proven opening signed, about this session, this run of the kit, this session key and our own ephemeral key.**
 */
import { type Bytes, equal } from "../wire/bytes";
import { Ephemeral } from "../wire/ed25519";
import { type LeaseKeys, leaseKeys } from "../wire/mac";
import { type LeaseTranscript, type Said, transcriptHash } from "../wire/statement";
import { Untrusted, require } from "../trust/untrusted";

export interface Parties {
  readonly session: Bytes;
  /** Our session key. */
  readonly holder: Bytes;
  /** The kit's device key, from the proven opening. */
  readonly kit: Bytes;
}

export interface Lease {
  readonly token: bigint;
  readonly keys: LeaseKeys;
  /** To be signed and sent: only then the lease begins. */
  readonly confirm: Said;
}

export class LeaseTaker {
  #asked: Ephemeral | undefined;
  #highest = 0n;

  constructor(private readonly parties: Parties) {}

  get isAsking(): boolean {
    return this.#asked !== undefined;
  }

  /** To be signed and sent. Asking again forgets the last time. */
  async request(challenge: Bytes): Promise<Said> {
    this.#asked = await Ephemeral.generate();
    return { is: "lease-request", challenge, x25519: this.#asked.publicKey };
  }

  giveUp(): void {
    this.#asked = undefined;
  }

  /** Takes a grant that the kit signed; `boot` is the run of the kit that its newest notice names. */
  async granted(transcript: LeaseTranscript, boot: Bytes): Promise<Lease> {
    const asked = this.#asked;
    if (asked === undefined) throw new Untrusted("control was granted that was not asked for");
    this.#check(transcript, asked, boot);
    const secret = await asked.agree(transcript.kitX25519);
    if (secret === undefined) throw new Untrusted("the kit's key for the lease is of low order");
    this.#asked = undefined;
    this.#highest = transcript.token;
    const keys = leaseKeys(transcriptHash(transcript), secret);
    return { token: transcript.token, keys, confirm: { is: "lease-confirm", transcript } };
  }

  #check(t: LeaseTranscript, asked: Ephemeral, boot: Bytes): void {
    require(equal(t.session, this.parties.session), "control was granted for another session");
    require(equal(t.holder, this.parties.holder), "control was granted to another key");
    require(equal(t.kit, this.parties.kit), "control was granted by another kit");
    require(equal(t.boot, boot), "control was granted by another run of the kit");
    require(equal(t.holderX25519, asked.publicKey), "control was granted for another request");
    require(t.token > this.#highest, `control was granted with token ${t.token}, the last was ${this.#highest}`);
  }
}
