/**
 * *Line test*: whether an operation would go over the line between this browser and the edge box. Measured as an operation would
 * use it, video and all, over the connection that it would use; nothing moves, and nobody needs control.
 */
import "../styles/hand.css";
import "../styles/audit.css";
import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Surgeon } from "../control/surgeon";
import { Boot, type Proven } from "../link/boot";
import { type Finding, LineTest, type Result, type Verdict } from "../link/linetest";
import { type Place } from "../link/rolelink";
import { figure, utc } from "../ui/figures";
import { nowMs } from "../ui/now";
import { watch } from "../video/viewer";
import { toHex } from "../wire/bytes";
import { clockPing } from "../wire/video";
import { Gate } from "./gate";

const SECONDS = 30;
const TICK_MS = 4;

/** `?seconds=8`: a shorter one, for tests. */
const seconds = Math.min(SECONDS, Number(new URLSearchParams(location.search).get("seconds") ?? SECONDS) || SECONDS);

export function line(place: Place) {
  const boot = new Boot(place, "surgeon");
  void boot.run();
  return <LinePage boot={boot} place={place} />;
}

function LinePage({ boot, place }: { readonly boot: Boot; readonly place: Place }) {
  const state = boot.state.value;
  return state.is === "ready" ? <Bench proven={state.proven} place={place} /> : <Gate state={state} title="Line test" />;
}

/** What was found, and when, as the report has it. */
interface Report extends Result {
  readonly kind: "farhand line test";
  readonly session: string;
  readonly at: string;
  readonly browser: string;
  /** The kit's, whose digest the session's opening names; otherwise its usual ones. */
  readonly limits: "proven" | "usual";
}

type State = { readonly is: "ready" } | { readonly is: "running"; readonly beganMs: number } | { readonly is: "done"; readonly report: Report };

function Bench({ proven, place }: { readonly proven: Proven; readonly place: Place }) {
  const surgeon = useMemo(() => started(proven), [proven]);
  const state = useMemo(() => signal<State>({ is: "ready" }), [proven]);
  const link = surgeon.station.link.value;
  return (
    <div class="hand audit linetest">
      <header>
        <span>
          <strong>Farhand</strong> line test
        </span>
        <span class="quiet mono">
          {proven.claimed.pseudonym} · {toHex(proven.opening.session).slice(0, 8)}
        </span>
      </header>
      <main>
        <div class="seen">
          <Picture surgeon={surgeon} />
          <section>
            <h1>{HEADS[state.value.is]}</h1>
            <p>
              For {seconds} seconds this page uses the line as an operation would: 125 messages a second to the edge box and back, and its
              video. Nothing moves, and nobody needs control. Run it from the place, on the network and with the computer that will be used.
            </p>
            <Begin surgeon={surgeon} state={state} connected={link.is === "connected"} />
          </section>
        </div>
        {state.value.is === "done" && <Found report={state.value.report} />}
      </main>
      <p class="noprint">
        <a href={`/operate/${place.link}`}>To the operation</a>
      </p>
    </div>
  );
}

const HEADS = { ready: "Will this line do?", running: "Measuring", done: "Measured" } as const;

function started(proven: Proven): Surgeon {
  const surgeon = new Surgeon(proven);
  surgeon.start();
  return surgeon;
}

function Begin({ surgeon, state, connected }: { readonly surgeon: Surgeon; readonly state: Signal<State>; readonly connected: boolean }) {
  const now = state.value;
  if (now.is === "running") {
    const share = Math.min(1, (Math.max(nowMs.value, now.beganMs) - now.beganMs) / (seconds * 1000));
    return (
      <p>
        <progress value={share} aria-label="How much of the time has passed" /> {Math.round(share * seconds)} of {seconds} s
      </p>
    );
  }
  return (
    <p class="noprint">
      <button type="button" disabled={!connected} onClick={() => void run(surgeon, state)}>
        {now.is === "done" ? "Test again" : "Test the line"}
      </button>{" "}
      {!connected && <span class="quiet">Connecting to the edge box.</span>}
    </p>
  );
}

/** Measures, and puts what was found into `state`. */
async function run(surgeon: Surgeon, state: Signal<State>): Promise<void> {
  const { station } = surgeon;
  const test = new LineTest(performance.now());
  surgeon.probe = test;
  state.value = { is: "running", beganMs: performance.now() };
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = performance.now();
      const paths = station.connector.paths(now).filter(({ stands }) => stands).length;
      const probe = test.tick(now, paths);
      if (probe !== undefined) station.connector.send("control", clockPing(probe));
      const { is, beganMs } = state.value as { is: "running"; beganMs: number };
      if (is !== "running" || now - beganMs < seconds * 1000) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
  surgeon.probe = undefined;
  const { limits, opening } = station.proven;
  const result = test.result(performance.now(), limits);
  const session = toHex(opening.session);
  const report: Report = { kind: "farhand line test", session, at: new Date().toISOString(), browser: navigator.userAgent, limits: limits ? "proven" : "usual", ...result };
  state.value = { is: "done", report };
}

function Picture({ surgeon }: { readonly surgeon: Surgeon }) {
  return (
    <div class="picture">
      {surgeon.streams.value.map(([path, stream]) => (
        <Screen key={path} surgeon={surgeon} stream={stream} />
      ))}
    </div>
  );
}

function Screen({ surgeon, stream }: { readonly surgeon: Surgeon; readonly stream: MediaStream }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    element.srcObject = stream;
    return watch(element, false, (frame) => surgeon.presented(frame));
  }, [surgeon, stream]);
  return <video ref={video} autoplay muted playsInline disablePictureInPicture aria-label="Endoscope" />;
}

const VERDICTS: Readonly<Record<Verdict, readonly [string, string]>> = {
  pass: ["This line will do", "Pass"],
  slower: ["This line will do, with care", "Care"],
  fail: ["Do not operate over this line", "Fail"],
};

function Found({ report }: { readonly report: Report }) {
  const worst = report.findings.filter(({ verdict }) => verdict !== "pass");
  return (
    <>
      <section class="verdict" data-exit={report.verdict === "pass" ? "0" : "1"} role="status">
        <h1>{VERDICTS[report.verdict][0]}</h1>
        {worst.length === 0 ? <p>Every figure is within its limit.</p> : worst.map(({ what, why }) => <p key={what}>{why}</p>)}
        <p class="quiet">
          {utc(new Date(report.at))}, {report.seconds.toFixed(0)} s, session {report.session.slice(0, 8)}.{" "}
          {report.limits === "proven" ? "Limits are this session's, proven by its opening." : "The server sent no proven limits: those usual for a kit were taken."}
        </p>
      </section>
      <table>
        <thead>
          <tr>
            <th>What</th>
            <th class="number">Seen</th>
            <th class="number">Limit</th>
            <th>Verdict</th>
            <th>What it means</th>
          </tr>
        </thead>
        <tbody>
          {report.findings.map((finding) => (
            <Row key={finding.what} {...finding} />
          ))}
        </tbody>
      </table>
      <p class="actions noprint">
        <button class="plain" type="button" onClick={() => print()}>
          Print
        </button>
        <a class="button" download={`line-test-${report.at.slice(0, 19).replaceAll(":", "")}.json`} href={asFile(report)}>
          Save the report
        </a>
      </p>
      <p class="quiet">Research software, not a medical device. A line is only as good as it is on the day: test it again before each operation.</p>
    </>
  );
}

function Row({ what, seen, limit, unit, verdict, why }: Finding) {
  const digits = unit === "ms" || Number.isInteger(seen) ? 0 : 1;
  return (
    <tr data-verdict={verdict}>
      <td>{what}</td>
      <td class="number">{figure(seen, unit, digits)}</td>
      <td class="number">{limit === undefined ? "–" : figure(limit, unit)}</td>
      <td>
        <strong>{VERDICTS[verdict][1]}</strong>
      </td>
      <td>{why}</td>
    </tr>
  );
}

function asFile(report: Report): string {
  return URL.createObjectURL(new Blob([JSON.stringify(report, null, 2)], { type: "application/json" }));
}
