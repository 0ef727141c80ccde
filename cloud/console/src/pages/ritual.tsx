/** Arming and clearing: what two people must sign, who has, and the button to sign oneself. */
import { type Station } from "../link/station";
import { equal } from "../wire/bytes";
import { type KitState, Mode, StateFlag } from "../wire/state";
import { type Said } from "../wire/statement";

const REFUSAL_MS = 8000;

/** The kit's flags by whichever of its words is newer: notices come to everybody, states only to the holder of control. */
export function flagsOf(station: Station, state: KitState | undefined): number {
  const notice = station.notice.value?.said;
  return state !== undefined && (notice === undefined || state.tickUs > notice.tickUs) ? state.flags : (notice?.flags ?? 0);
}

interface Props {
  readonly station: Station;
  readonly flags: number;
}

export function Ritual({ station, flags }: Props) {
  const notice = station.notice.value?.said;
  if (notice === undefined) return null;
  const { challenge } = notice;
  const stopped = notice.mode === Mode.Stopped;
  const { closed } = notice;
  const armed = (flags & StateFlag.Armed) !== 0;
  return (
    <>
      {stopped && (
        <Signing station={station} title="Clear the stop" button="Sign clearing" said={{ is: "clear-e-stop", challenge }}>
          See to what stopped the kit first.
        </Signing>
      )}
      {!stopped && !armed && !closed && (
        <Signing station={station} title="Arm" button="Sign arming" said={{ is: "arm", challenge }}>
          An armed arm can be moved.
        </Signing>
      )}
      <Refusal station={station} />
    </>
  );
}

/**
 * Control whose holder has been gone for a lease: two people give it to a surgeon who is here, one of them at the bedside. A
 * surgeon asks for themselves; the bedside says to whom.
 */
export function TakeOver({ station, flags }: Props) {
  const notice = station.notice.value?.said;
  if (notice === undefined || notice.holder === null || notice.closed) return null;
  const lapsed = (flags & StateFlag.Armed) !== 0 && (flags & StateFlag.Leased) === 0;
  if (!lapsed || station.isOurs(notice.holder)) return null;
  const { identity, opening } = station.proven;
  const asks = opening.member(identity.linkKey)?.role === "surgeon";
  const to = asks ? [{ pseudonym: "you", sessionKey: identity.signer.publicKey }] : station.surgeonsBut(notice.holder);
  const gone = station.nameOf(notice.holder) ?? "whoever held control";
  return (
    <>
      {to.map(({ pseudonym, sessionKey }) => (
        <Signing
          key={pseudonym}
          station={station}
          title={asks ? "Take over" : `Control to ${pseudonym}`}
          button={asks ? "Sign taking over" : `Sign: control to ${pseudonym}`}
          said={{ is: "take-over", challenge: notice.challenge, to: sessionKey }}
        >
          {`If ${gone} is gone and nothing was handed over, control passes so.`}
        </Signing>
      ))}
    </>
  );
}

interface SigningProps {
  readonly station: Station;
  readonly title: string;
  readonly button: string;
  readonly said: Said;
  readonly children: string;
}

function Signing({ station, title, button, said, children }: SigningProps) {
  const signed = station.hasSigned;
  return (
    <section class="task ritual">
      <h2>{title}</h2>
      <p>{children} Two people sign, one of them at the bedside.</p>
      <Signers station={station} />
      <button type="button" disabled={signed} onClick={() => void station.say(said)}>
        {signed ? "You have signed" : button}
      </button>
    </section>
  );
}

/** Everybody who may sign, and whether they have. */
function Signers({ station }: { readonly station: Station }) {
  const signedBy = station.notice.value?.said.signedBy ?? [];
  const team = station.proven.opening.roster.filter(({ role }) => role === "surgeon" || role === "bedside");
  return (
    <ul class="signers" aria-label="Signatures">
      {team.map(({ key, role, pseudonym }) => {
        const signed = signedBy.some((one) => equal(one, key));
        const ours = equal(key, station.proven.identity.linkKey);
        return (
          <li key={pseudonym}>
            <span>
              {pseudonym}
              {ours ? ", you" : role === "bedside" ? ", bedside" : ""}
            </span>
            <span class={signed ? "signed" : "quiet"}>{signed ? "✓ signed" : "not yet"}</span>
          </li>
        );
      })}
    </ul>
  );
}

/** What the kit refused last, for a while. */
function Refusal({ station }: { readonly station: Station }) {
  const refusal = station.refusal.value;
  const fresh = refusal !== undefined && performance.now() - refusal.atMs < REFUSAL_MS;
  return (
    <p class="refusal" role="status">
      {fresh ? `Not done: ${refusal.said}.` : ""}
    </p>
  );
}
