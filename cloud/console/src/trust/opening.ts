/**
 * A session's opening, checked. **A {@link VerifiedOpening} exists only if a quorum committed the opening, the consent
 * and an unbroken chain of custody that ends in this kit being paired with this edge box, and a hospital of the trust
 * root opened it** (`docs/evidence-format.md`, 7). {@link verifyOpening} is the only way to make one.
 */
import { type Bytes, equal, toHex } from "../wire/bytes";
import { Fields, fromCbor } from "../wire/cbor";
import { type Custody, EVENT_CUSTODY, PAIRED, STEPS, readCustody } from "./custody";
import { type Position, type Proven, type TransactionProof, type Utc, checkProof, inWords, isAfter, readProof } from "./proof";
import { type TrustRoot } from "./root";
import { require } from "./untrusted";

const BYTES_MAX = 1024 * 1024;
const CUSTODY_MIN = 7;
const CUSTODY_MAX = 64;
export const ROSTER_MAX = 16;
const NAME_BYTES_MAX = 64;
const EVENT = { opening: 1, consent: 3 } as const;
const STEP = { sealed: 0, unsealed: 4, selfTested: 5, paired: PAIRED } as const;

/** By their numbers on the ledger. */
export const ROLES = ["surgeon", "bedside", "field", "auditor", "edge", "kit", "hospital"] as const;
export type Role = (typeof ROLES)[number];

export interface Member {
  readonly key: Bytes;
  readonly role: Role;
  /** Never a name: who it is stays with the hospital. */
  readonly pseudonym: string;
}

interface Opening {
  readonly session: Bytes;
  readonly roster: readonly Member[];
  readonly edge: Bytes;
  readonly kit: Bytes;
  readonly limitsDigest: Bytes;
  readonly armDigest: Bytes;
  readonly consent: Bytes;
  readonly custody: Bytes;
}

const made = Symbol("checked against the trust root");

export class VerifiedOpening {
  constructor(
    token: typeof made,
    private readonly opening: Opening,
    /** Where the opening stands on the ledger, and since when, by the validators' clocks. */
    readonly position: Position,
    readonly committed: Utc,
    readonly custodySteps: number,
  ) {
    if (token !== made) throw new TypeError("an opening is made by verifyOpening alone");
  }

  /** Height of its block. */
  get height(): bigint {
    return this.position.height;
  }
  get session(): Bytes {
    return this.opening.session;
  }
  get roster(): readonly Member[] {
    return this.opening.roster;
  }
  /** The edge box's device key. */
  get edge(): Bytes {
    return this.opening.edge;
  }
  /** The kit's device key. */
  get kit(): Bytes {
    return this.opening.kit;
  }
  /** SHA-256 of the limits that the kit must run with. */
  get limitsDigest(): Bytes {
    return this.opening.limitsDigest;
  }

  member(key: Uint8Array): Member | undefined {
    return this.roster.find((member) => equal(member.key, key));
  }
}

export interface OpeningEvidence {
  readonly opening: TransactionProof;
  readonly consent: TransactionProof;
  readonly custody: readonly TransactionProof[];
}

/** The proofs that show a session to be opened, not checked yet. */
export function readOpeningEvidence(evidence: Uint8Array): OpeningEvidence {
  const f = new Fields("opening evidence", fromCbor("opening evidence", evidence, BYTES_MAX), 3);
  return { opening: readProof(f), consent: readProof(f), custody: f.list("custody proofs", CUSTODY_MAX, readProof) };
}

export async function verifyOpening(evidence: Uint8Array, trust: TrustRoot): Promise<VerifiedOpening> {
  const proofs = readOpeningEvidence(evidence);
  const opened = await checkProof(proofs.opening, trust);
  const opening = readOpening(opened);
  byHospital("the opening", opened, trust);
  checkRoster(opening);
  checkConsent(await checkProof(proofs.consent, trust), opening, opened, trust);
  checkCustody(await Promise.all(proofs.custody.map((step) => checkProof(step, trust))), opening, opened);
  return new VerifiedOpening(made, opening, opened.position, opened.committed, proofs.custody.length);
}

function readOpening(proven: Proven): Opening {
  require(proven.event.kind === EVENT.opening, `transaction is of kind ${proven.event.kind}, expected an opening`);
  const f = new Fields("opening", proven.event.body, 8);
  return {
    session: f.bytes(16),
    roster: f.list("people", ROSTER_MAX, readMember),
    edge: f.bytes(32),
    kit: f.bytes(32),
    limitsDigest: f.bytes(32),
    armDigest: f.bytes(32),
    consent: f.bytes(32),
    custody: f.bytes(32),
  };
}

export function readMember(item: Fields): Member {
  const f = item.record("member", 3);
  const key = f.bytes(32);
  const role = ROLES[f.number(ROLES.length - 1)] as Role;
  const pseudonym = f.text(NAME_BYTES_MAX);
  require(pseudonym.length > 0, "a pseudonym is empty");
  return { key, role, pseudonym };
}

/** People only, each once, at least one to operate and one at the bedside; and two machines that are neither. */
function checkRoster({ roster, edge, kit }: Opening): void {
  const count = (...roles: readonly Role[]) => roster.filter((member) => roles.includes(member.role)).length;
  require(count("surgeon") >= 1, "roster has 0 surgeons, at least 1 is needed");
  require(count("bedside") >= 1, "roster has 0 people at the bedside, at least 1 is needed");
  require(count("edge", "kit") === 0, `roster has ${count("edge", "kit")} machines among the people`);
  const keys = [...roster.map((member) => member.key), edge, kit].map(toHex);
  require(new Set(keys).size === keys.length, "a key stands twice among people and machines");
}

function checkConsent(consent: Proven, opening: Opening, opened: Proven, trust: TrustRoot): void {
  require(consent.event.kind === EVENT.consent, `transaction is of kind ${consent.event.kind}, expected a consent`);
  byHospital("the consent", consent, trust);
  const f = new Fields("consent", consent.event.body, 3);
  require(equal(f.bytes(16), opening.session), "the consent is of another session");
  f.bytes(32);
  require(f.boolean(), "consent has been withdrawn");
  refers("the consent", consent.hash, opening.consent);
  after("the opening", opened, consent);
}

/** Every step is proven, of this kit, in order, and names the one before; the last is what the opening names. */
function checkCustody(steps: readonly Proven[], opening: Opening, opened: Proven): void {
  require(steps.length >= CUSTODY_MIN, `${steps.length} custody steps are proven, at least ${CUSTODY_MIN} are needed`);
  let before: Step | undefined;
  for (const proven of steps) {
    const step = readStep(proven, opening);
    follows(step, before);
    before = step;
  }
  const last = before as Step;
  refers("the last custody step", last.proven.hash, opening.custody);
  after("the opening", opened, last.proven);
  require(last.step === STEP.paired, `custody ends at "${STEPS[last.step]}", expected a kit that is paired`);
  require(
    last.edge !== undefined && equal(last.edge, opening.edge),
    "the kit is paired with another edge box than the opening names",
  );
}

interface Step extends Custody {
  readonly proven: Proven;
}

function readStep(proven: Proven, opening: Opening): Step {
  require(proven.event.kind === EVENT_CUSTODY, `transaction is of kind ${proven.event.kind}, expected a custody step`);
  const custody = readCustody(proven.event.body);
  require(equal(custody.kit, opening.kit), "a custody step is of another kit");
  const byKit = custody.step >= STEP.selfTested;
  require(!byKit || equal(proven.author, opening.kit), `the kit did not sign "${STEPS[custody.step]}" itself`);
  return { ...custody, proven };
}

function follows(step: Step, before: Step | undefined): void {
  if (before === undefined) {
    require(step.step === STEP.sealed, `custody begins with "${STEPS[step.step]}", expected "sealed"`);
    if (step.sequence === 1n) refers("the custody step before the first", step.previous, new Uint8Array(32));
    else require(step.sequence > 1n, "custody sequence is 0");
    return;
  }
  require(
    step.sequence === before.sequence + 1n,
    `custody sequence is ${step.sequence}, expected ${before.sequence + 1n}`,
  );
  const allowed =
    step.step === STEP.selfTested ? before.step >= STEP.unsealed : step.step !== STEP.sealed && step.step === before.step + 1;
  require(allowed, `custody step "${STEPS[step.step]}" may not follow "${STEPS[before.step]}"`);
  refers("the custody step before", step.previous, before.proven.hash);
  after("the custody step", step.proven, before.proven);
}

/** Of the epoch in which it stands. */
export function byHospital(what: string, { author, position }: Proven, trust: TrustRoot): void {
  require(
    trust.isHospital(author, position.epoch),
    `${what} is by ${toHex(author).slice(0, 16)}…, who is no hospital of epoch ${position.epoch}`,
  );
}

function refers(what: string, seen: Uint8Array, expected: Uint8Array): void {
  require(equal(seen, expected), `${what} is ${toHex(seen).slice(0, 16)}…, expected ${toHex(expected).slice(0, 16)}…`);
}

function after(what: string, later: Proven, earlier: Proven): void {
  const [a, b] = [later.position, earlier.position];
  require(isAfter(a, b), `${what} stands at ${inWords(a)} on the ledger, expected after ${inWords(b)}`);
}
