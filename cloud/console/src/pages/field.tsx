/** *Field*: dispatch the aircraft, bring the kit up, pair it. One next thing to do; pass or fail; what to do then. */
import "../styles/hand.css";
import "../styles/field.css";
import { useEffect, useMemo } from "preact/hooks";
import { Boot } from "../link/boot";
import { type Identity, type Place } from "../link/rolelink";
import { STEPS } from "../trust/custody";
import { toHex } from "../wire/bytes";
import { FlightView } from "./field/flight";
import { How } from "./field/how";
import { CALLS, type Call, type Field, type Next, SIGNED_BY, type Step, type StepState, partOf } from "./field/model";
import { FieldWork } from "./field/work";
import { Gate } from "./gate";

const TEXTS: Readonly<Record<Call, { readonly title: string; readonly button: string; readonly how: string }>> = {
  dispatch: {
    title: "1. Dispatch",
    button: "Dispatch",
    how: "Close the lid, check the seal, load the kit, step back ten metres.",
  },
  "bring-up": {
    title: "2. Bring up",
    button: "Bring up",
    how: "When it has landed: check the seal, open it, put the arm at the table, switch it on.",
  },
  pair: {
    title: "3. Pair",
    button: "Pair",
    how: "Plug the cable from the kit into the edge box. Both lights turn steady.",
  },
};

const PARTS: Readonly<Record<StepState, string>> = { waiting: "To do", now: "Running", done: "✓ Done", failed: "✗ Failed" };
const MARKS: Readonly<Record<StepState, readonly [string, string]>> = {
  waiting: ["○", "to come"],
  now: ["◐", "now"],
  done: ["✓", "done"],
  failed: ["✗", "failed"],
};

export function field(place: Place) {
  const boot = new Boot(place, undefined);
  void boot.run();
  return <FieldPage boot={boot} />;
}

function FieldPage({ boot }: { readonly boot: Boot }) {
  const state = boot.state.value;
  if (state.is !== "not-open" || boot.identity === undefined) return <Gate state={state} title="Field" />;
  return <Ground identity={boot.identity} pseudonym={state.claimed.pseudonym} />;
}

function Ground({ identity, pseudonym }: { readonly identity: Identity; readonly pseudonym: string }) {
  const work = useMemo(() => new FieldWork(identity), [identity]);
  useEffect(() => work.start(), [work]);
  const field = work.field.value;
  const done = field !== undefined && CALLS.every((call) => partOf(field, call).state === "done");
  return (
    <div class="hand">
      <header>
        <span>
          <strong>Farhand</strong> field
        </span>
        <span class="quiet mono">
          {pseudonym}
          {field?.kit && ` · kit ${toHex(field.kit).slice(0, 8)}`}
        </span>
      </header>
      <main>
        <h1 class="hidden-but-read">Field</h1>
        {field === undefined && <p role="status">Asking the server how things stand.</p>}
        {field && (
          <ol class="parts">
            {CALLS.map((call) => (
              <Part key={call} call={call} field={field} work={work} />
            ))}
          </ol>
        )}
      </main>
      <div role="status">
        {done && <p class="note">All done. The session opens on the ledger; the bedside and the surgeon go on.</p>}
        {!work.online.value && <p class="refusal">{work.refusal.value ?? "No connection to the server."} This is what was known last; the page goes on by itself.</p>}
        {work.trouble.value && <p class="refusal">{work.trouble.value}</p>}
      </div>
    </div>
  );
}

interface PartProps {
  readonly call: Call;
  readonly field: Field;
  readonly work: FieldWork;
}

function Part({ call, field, work }: PartProps) {
  const { state, steps } = partOf(field, call);
  const next = field.next?.call === call ? field.next : undefined;
  const { title, how } = TEXTS[call];
  const flies = call === "dispatch" && state !== "done" && field.flight !== undefined;
  return (
    <li data-part={call} data-state={state} data-next={next !== undefined}>
      <div class="head">
        <h2>{title}</h2>
        <span class="outcome" role="status">
          {PARTS[state]}
        </span>
      </div>
      {next && state !== "failed" && (
        <>
          <How call={call} />
          <p>{how}</p>
        </>
      )}
      <ul class="steps">
        {steps.map((step) => (
          <StepRow key={step.step} step={step} />
        ))}
      </ul>
      {flies && <FlightView track={work.track.value} />}
      {next && <Begin next={next} failed={state === "failed"} work={work} />}
    </li>
  );
}

function StepRow({ step: { step, state, detail, progress } }: { readonly step: Step }) {
  const [mark, said] = MARKS[state];
  return (
    <li data-step={step} data-state={state}>
      <span class="mark" aria-hidden="true">
        {mark}
      </span>
      <span class="name">
        {step.charAt(0).toUpperCase() + step.slice(1)}
        <span class="hidden-but-read">, {said}</span>
      </span>
      {detail !== "" && <span class="detail">{detail}</span>}
      {state === "now" && <progress max={1} {...(progress === undefined ? {} : { value: progress })} aria-label={step} />}
    </li>
  );
}

interface BeginProps {
  readonly next: Next;
  readonly failed: boolean;
  readonly work: FieldWork;
}

function Begin({ next, failed, work }: BeginProps) {
  const { button } = TEXTS[next.call];
  const busy = work.busy.value === next.call;
  const signs = SIGNED_BY[next.call];
  return (
    <div>
      <button type="button" disabled={busy} onClick={() => void work.begin(next)}>
        {busy ? "Asking the server" : failed ? `${button} again` : button}
      </button>
      {signs && (
        <p class="quiet">
          You sign step {STEPS.indexOf(signs) + 1} of {STEPS.length}, "{signs}", for this kit.
        </p>
      )}
    </div>
  );
}
