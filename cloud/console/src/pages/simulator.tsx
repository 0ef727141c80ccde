/**
 * *Simulator*: for engineers. The line's dials, a kill for every part, what is so in the simulated world, and what the proving
 * ground's checker says. Served by `farhand up` on its own machine.
 */
import "../styles/simulator.css";
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { figure } from "../ui/figures";
import { HoldButton } from "../ui/hold";
import { type Dials, STILL, Simulator, type Soak, type View } from "./simulator/model";
import { Panel } from "./simulator/panel";
import { Exercise, Truth } from "./simulator/truth";

const KEPT = "farhand-simulator";

export function simulator(fragment: string) {
  if (fragment.length > 1) sessionStorage.setItem(KEPT, fragment.slice(1));
  if (location.hash !== "") history.replaceState(null, "", location.pathname);
  const token = sessionStorage.getItem(KEPT);
  return token === null ? <NoLink /> : <Page token={token} />;
}

function NoLink() {
  return (
    <main class="gate">
      <h1>This page needs its link</h1>
      <p>The part of the link after the # is its key. Open it again as farhand up printed it, whole.</p>
    </main>
  );
}

function Page({ token }: { readonly token: string }) {
  const sim = useMemo(() => new Simulator(token), [token]);
  useEffect(() => sim.start(), [sim]);
  const view = sim.view.value;
  return (
    <div class="simulator">
      <header>
        <strong>Farhand</strong>
        <span>Simulator</span>
        {view && (
          <span class="quiet mono">
            session {view.session.slice(0, 8)}, seed {view.seed}
          </span>
        )}
        <span class="trouble" role="status">
          {sim.trouble.value}
        </span>
      </header>
      {view ? (
        <main>
          <Line sim={sim} view={view} />
          <Parts sim={sim} view={view} />
          <Exercise truth={view.truth} />
          <Truth truth={view.truth} />
          <Proving sim={sim} soak={view.soak} />
        </main>
      ) : (
        <main>
          <p>Asking farhand up.</p>
        </main>
      )}
      <footer class="quiet">Research software, not a medical device. What is turned here is recorded nowhere, and changes the picture of this machine alone.</footer>
    </div>
  );
}

interface DialProps {
  readonly name: string;
  readonly value: number;
  readonly max: number;
  readonly step: number;
  readonly unit: string;
  readonly turned: (value: number) => void;
}

function Dial({ name, value, max, step, unit, turned }: DialProps) {
  const id = `dial-${name.toLowerCase().replaceAll(" ", "-")}`;
  return (
    <>
      <label for={id}>{name}</label>
      <input id={id} type="range" min={0} max={max} step={step} value={value} onInput={(event) => turned(Number(event.currentTarget.value))} />
      <output for={id}>{figure(value, unit, step < 1 ? 1 : 0)}</output>
    </>
  );
}

const LINES = "lan, 5g-urban, 5g-rural, leo, geo";

function Line({ sim, view }: { readonly sim: Simulator; readonly view: View }) {
  const dials = sim.dials.value;
  if (view.line === null) {
    return (
      <Panel title="The line">
        <p>
          Nothing lies between the surgeon and the edge box. Start with <code>farhand up --link lan</code> to have a line that can be turned; there are {LINES}.
        </p>
      </Panel>
    );
  }
  const turn = (change: Partial<Dials>) => sim.turn(change);
  return (
    <Panel title="The line" note={`Between the surgeon and the edge box: ${view.line.profile}, ${view.line.from}. What is turned here comes on top, each way.`}>
      <div class="dials">
        <Dial name="Delay" value={dials.delay_ms} max={400} step={5} unit="ms" turned={(delay_ms) => turn({ delay_ms })} />
        <Dial name="Jitter" value={dials.jitter_ms} max={100} step={1} unit="ms" turned={(jitter_ms) => turn({ jitter_ms })} />
        <Dial name="Loss" value={dials.loss_percent} max={30} step={0.5} unit="%" turned={(loss_percent) => turn({ loss_percent })} />
      </div>
      <p class="switches">
        <button class={dials.stalled ? "" : "plain"} type="button" aria-pressed={dials.stalled} onClick={() => turn({ stalled: !dials.stalled })}>
          {dials.stalled ? "Stalled: let it flow" : "Stall it"}
        </button>
        <button class="plain" type="button" onClick={() => turn(STILL)}>
          All to zero
        </button>
      </p>
    </Panel>
  );
}

const WHAT: Readonly<Record<string, string>> = {
  mesh: "Zenoh router",
  world: "arm, endoscope, aircraft",
  kit: "gate, guard, motion",
  edge: "relay, video, record",
  cloud: "pages, signalling",
  flight: "the aircraft's companion",
  line: "between surgeon and edge box",
  crtk: "for the ROS world",
};

function Parts({ sim, view }: { readonly sim: Simulator; readonly view: View }) {
  return (
    <Panel title="Parts" note="Each is a process. Killed, it is gone at once, as if its power had failed, and is started again.">
      <table>
        <tbody>
          {view.parts.map(({ name, pid }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="quiet">{WHAT[name] ?? (name.startsWith("validator") ? "replica of the ledger" : "")}</td>
              <td class="mono">{pid === null ? "starting" : pid}</td>
              <td>
                <HoldButton label="Kill" holding="Hold on" disabled={pid === null} act={() => void sim.kill(name)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Proving({ sim, soak }: { readonly sim: Simulator; readonly soak: Soak }) {
  const seed = useSignal("1");
  const sessions = useSignal("20");
  const begin = (event: Event) => {
    event.preventDefault();
    void sim.soak(Number(seed.value), Number(sessions.value));
  };
  return (
    <Panel title="Proving ground" note="The same kit, guard and motion in virtual time, under random faults. A checker that shares no code with the guard looks at every millisecond.">
      <form class="switches" onSubmit={begin}>
        <label>
          Seed <input type="number" min={0} max={1_000_000} value={seed.value} onInput={(event) => (seed.value = event.currentTarget.value)} />
        </label>
        <label>
          Sessions <input type="number" min={1} max={500} value={sessions.value} onInput={(event) => (sessions.value = event.currentTarget.value)} />
        </label>
        <button type="submit" disabled={soak.running}>
          {soak.running ? "At work" : "Run them"}
        </button>
      </form>
      {soak.sessions > 0 && <Said soak={soak} />}
    </Panel>
  );
}

function Said({ soak }: { readonly soak: Soak }) {
  const { report } = soak;
  const words = soak.failed ?? (soak.broken === null ? `${soak.running ? "Nothing broken so far" : "No promise broken"}: ${soak.done} of ${soak.sessions} sessions, seed ${soak.seed}.` : `Broken: ${soak.broken}`);
  return (
    <>
      <p class="verdict" data-broken={soak.broken !== null || soak.failed !== null} role="status">
        {words}
      </p>
      {soak.running && <progress value={soak.done} max={soak.sessions} aria-label="Sessions done" />}
      {report && (
        <>
          <p>
            {report.simulated_seconds.toFixed(0)} s in {report.seconds.toFixed(1)} s, {(report.simulated_seconds / report.seconds).toFixed(0)} times real speed on one core;{" "}
            {report.commands.toLocaleString("en")} commands, {report.applied.toLocaleString("en")} taken in, {report.tasks_done} objects grasped.
          </p>
          <div class="counts">
            <Counts title="Refused" counts={report.refused} />
            <Counts title="What promises were kept against" counts={report.preconditions} />
          </div>
        </>
      )}
    </>
  );
}

function Counts({ title, counts }: { readonly title: string; readonly counts: Readonly<Record<string, number>> }) {
  return (
    <div>
      <h3>{title}</h3>
      <dl class="rows">
        {Object.entries(counts).map(([name, count]) => (
          <>
            <dt>{name}</dt>
            <dd>{count.toLocaleString("en")}</dd>
          </>
        ))}
      </dl>
    </div>
  );
}
