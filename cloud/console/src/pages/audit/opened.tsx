/** One session: what this device says of it, what the server says, and the session itself, moment by moment. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { type Exit, type Finding } from "../../bundle/findings";
import { type Index } from "../../bundle/index";
import { type Source } from "../../bundle/source";
import { type Report } from "../../bundle/verify";
import { trustFor } from "../../bundle/manifest";
import { type TrustRoot, furtherOf, parseTrustRoot } from "../../trust/root";
import { bytesText, utc } from "../../ui/figures";
import { type Archive, type Check } from "./archive";
import { LocalCheck, type Opened } from "./check";
import { Entries } from "./entries";
import { Lanes } from "./lanes";
import { Marks } from "./marks";
import { VERDICTS } from "./model";
import { type OwnTrust, ownTrust } from "./owntrust";
import { Replay, SPEEDS } from "./replay";
import { Moment, Screen } from "./screen";
import { TakeOut } from "./takeout";

const FINDINGS_SHOWN = 12;
const SECOND_US = 1_000_000;

interface Props {
  readonly opened: Opened;
  readonly archive: Archive;
  readonly close: () => void;
}

export function OpenedBundle({ opened, archive, close }: Props) {
  const trust = ownTrust.value;
  const check = useMemo(() => new LocalCheck(opened, trust), [opened, trust]);
  useEffect(() => check.start(), [check]);
  useEffect(() => {
    document.documentElement.dataset["theme"] = "dark";
    return () => void (document.documentElement.dataset["theme"] = "light");
  }, []);
  const progress = check.progress.value;
  const done = progress.is === "done" ? progress : undefined;
  useEffect(() => {
    if (done && opened.archived !== undefined) archive.noteOwn(opened.archived, done.report.exit);
  }, [done, opened, archive]);
  const root = useRoot(trust, archive);
  const marks = useMemo(() => (done?.index && opened.archived !== undefined ? new Marks(done.index) : undefined), [done, opened]);
  const served = opened.archived === undefined ? undefined : archive.checks.value.get(opened.archived);
  return (
    <main class="opened">
      <div class="bar">
        <button type="button" class="plain" onClick={close}>
          All sessions
        </button>
        <h1>{opened.name}</h1>
        {done?.report.session && <span class="quiet">{utc(new Date(Number(done.report.session.openedUs) / 1000))}</span>}
        <span class="quiet">{done?.report.session?.people.map(({ pseudonym, role }) => `${pseudonym} ${role}`).join(" · ")}</span>
      </div>
      <div class="answers">
        {done ? <Local report={done.report} trust={trust} tookMs={done.tookMs} /> : <Checking at={progress.is === "progress" ? progress.at : 0} of={progress.is === "progress" ? progress.of : 0} />}
        <Server opened={opened} archive={archive} check={served} local={done?.report} />
      </div>
      {done && opened.archived !== undefined && root && <TakeOut name={opened.archived} report={done.report} identity={archive.identity} trust={root} marks={marks} />}
      {done?.index && <Played key={opened.name} check={check} index={done.index} marks={marks} />}
    </main>
  );
}

function Checking({ at, of }: { readonly at: number; readonly of: number }) {
  return (
    <section class="answer" data-by="device" aria-label="This device's own answer">
      <h2>Checked on this device</h2>
      <progress aria-busy="true" max={of || 1} value={at} aria-label="Checked so far" />
      <p class="quiet">{of > 0 ? `${bytesText(at)} of ${bytesText(of)}` : "Opening it."}</p>
    </section>
  );
}

function Local({ report, trust, tookMs }: { readonly report: Report; readonly trust: OwnTrust | undefined; readonly tookMs: number }) {
  const { exit, counts, findings, unreadable, bytes } = report;
  const takenOut = (counts["redacted"] ?? 0) + (counts["pictures_left_out"] ?? 0);
  const noted = findings.filter(({ severity }) => severity === "note").length;
  return (
    <section class="answer" data-by="device" data-exit={exit} aria-label="This device's own answer">
      <h2>
        Checked on this device <span class="end">{(tookMs / 1000).toFixed(1)} s</span>
      </h2>
      <p class="word" role="status">
        {exit === 0 && takenOut > 0 ? "Holds: nothing was altered. What was taken out is listed; all the rest is there." : VERDICTS[exit]}
      </p>
      <p class="quiet">
        {trust ? (
          <>
            Under your trust file {trust.name}, fingerprint <span class="mono">{trust.fingerprint.slice(0, 16)}…</span>
          </>
        ) : (
          "Under the bundle's own trust root: five fresh keys could forge it. Choose your trust file to know more."
        )}
      </p>
      {unreadable !== undefined && <p>It can't be read: {unreadable}.</p>}
      {unreadable === undefined && (
        <p class="quiet">
          {bytesText(bytes)}, every byte · {n(counts["leaves"])} leaves, {n(counts["redacted"])} redacted · {n(counts["checkpoints"])} checkpoints · {n(counts["pictures"])} pictures, {n(counts["pictures_left_out"])} left out,{" "}
          {n(counts["confirmed"])} confirmed shown · {n(counts["taken_in"])} commands taken in, {n(counts["refused"])} refused
        </p>
      )}
      {findings.length > 0 && <Found findings={findings} more={report.findingsLeftOut} noted={noted} />}
    </section>
  );
}

function Found({ findings, more, noted }: { readonly findings: readonly Finding[]; readonly more: number; readonly noted: number }) {
  const worst = [...findings].sort((a, b) => RANK[b.severity] - RANK[a.severity]);
  return (
    <details open={findings.length > noted}>
      <summary>
        {findings.length + more - noted} found wrong or missing, {noted} {noted === 1 ? "note" : "notes"}
      </summary>
      <ul class="findings">
        {worst.slice(0, FINDINGS_SHOWN).map(({ severity, name, leaf, byte, what }, i) => (
          <li key={i} data-severity={severity} data-byte={byte}>
            <strong>{severity}</strong>
            <span class="mono quiet">{name}</span>
            {leaf !== undefined && <span class="quiet">leaf {n(leaf)}</span>}
            {byte !== undefined && <span class="quiet">byte {n(byte)}</span>}
            <span>{what}</span>
          </li>
        ))}
      </ul>
      {findings.length > FINDINGS_SHOWN && <p class="quiet">and {n(findings.length - FINDINGS_SHOWN + more)} more</p>}
    </details>
  );
}

const RANK = { note: 0, unreadable: 1, missing: 2, violation: 3 } as const;

interface ServerProps {
  readonly opened: Opened;
  readonly archive: Archive;
  readonly check: Check | undefined;
  readonly local: Report | undefined;
}

function Server({ opened: { archived }, archive, check, local }: ServerProps) {
  const exit = check?.is === "done" ? check.report.exit : undefined;
  const agrees = exit === undefined || local === undefined || agree(local.exit, exit);
  return (
    <section class="answer" data-by="server" data-exit={exit} data-agrees={agrees} aria-label="The server's answer">
      <h2>The server's answer</h2>
      {archived === undefined && <p class="quiet">None: this file is yours, the server has not seen it.</p>}
      {archived !== undefined && check === undefined && (
        <p>
          <button type="button" class="plain" onClick={() => void archive.verify(archived)}>
            Ask the server, too
          </button>
        </p>
      )}
      {check?.is === "checking" && <p>It is checking.</p>}
      {check?.is === "failed" && <p class="refusal">Not checked: {check.why}</p>}
      {exit !== undefined && <p class="word">{VERDICTS[exit]}</p>}
      {exit !== undefined && <p class="quiet">You have its word for it. {agrees ? "This device does not contradict it." : ""}</p>}
      {!agrees && <p class="refusal">This device and the server disagree. Trust this device's answer, keep the file, and tell whoever runs the server.</p>}
    </section>
  );
}

/** The server has a trust root, which this device may not have been given; and what is broken may not be readable, too. */
function agree(device: Exit, server: Exit): boolean {
  const isNo = (exit: Exit) => exit === 1 || exit === 2;
  return device === server || (device === 3 && server === 0) || (isNo(device) && isNo(server));
}

/** The trust root to prove an export under: the auditor's own, or the server's where that leads further. */
function useRoot(trust: OwnTrust | undefined, archive: Archive): TrustRoot | undefined {
  const asked = archive.trust.value;
  const [root, setRoot] = useState<TrustRoot | undefined>(undefined);
  useEffect(() => {
    let wanted = true;
    void further(trust, archive.root).then((found) => wanted && setRoot(found));
    return () => void (wanted = false);
  }, [trust, archive, asked]);
  return root;
}

async function further(trust: OwnTrust | undefined, served: TrustRoot | undefined): Promise<TrustRoot | undefined> {
  const own = trust && (await parseTrustRoot(trust.bytes).catch(() => undefined)); // what is wrong with it is told with the verdict
  return own && served ? (furtherOf(own, served) ?? own) : trust ? own : served;
}

function Played({ check, index, marks }: { readonly check: LocalCheck; readonly index: Index; readonly marks: Marks | undefined }) {
  const [ready, setReady] = useState<{ source: Source; trust: TrustRoot } | undefined>(undefined);
  useEffect(() => {
    void (async () => {
      const source = await check.source;
      const given = check.trust && (await parseTrustRoot(check.trust.bytes));
      setReady({ source, trust: await trustFor(source, given) });
    })().catch(() => undefined); // what is wrong with it is among the findings
  }, [check]);
  const replay = useMemo(() => new Replay(index), [index]);
  useEffect(() => keys(replay), [replay]);
  useEffect(() => play(replay), [replay]);
  if (ready === undefined) return <p class="quiet">No trust root to prove entries under.</p>;
  const playing = replay.playing.value;
  const at = replay.atUs.value;
  return (
    <>
      <div class="stage">
        <Screen replay={replay} source={ready.source} />
        <Moment replay={replay} source={ready.source} />
      </div>
      <section class="time" aria-label="Timeline">
        <div class="bar">
          <button type="button" class="plain" aria-label="One frame back" onClick={() => replay.step(-1)}>
            ◀
          </button>
          {SPEEDS.map((speed) => (
            <button key={speed} type="button" class="plain" aria-pressed={playing === speed} onClick={() => (replay.playing.value = playing === speed ? 0 : speed)}>
              {playing === speed ? "Pause" : `Play ${speed}×`}
            </button>
          ))}
          <button type="button" class="plain" aria-label="One frame on" onClick={() => replay.step(1)}>
            ▶
          </button>
          {marks && (
            <button type="button" class="plain" aria-pressed={marks.begun.value !== undefined} onClick={() => marks.edge(replay.leaf.value)}>
              {marks.begun.value === undefined ? "Mark from here" : "Mark up to here"}
            </button>
          )}
          <span class="mono now">{new Date(at / 1000).toISOString().replace("T", " ").replace("Z", " UTC")}</span>
          <span class="mono quiet">
            {((at - replay.fromUs) / 1e6).toFixed(3)} of {((replay.toUs - replay.fromUs) / 1e6).toFixed(1)} s
          </span>
          <span class="quiet end">
            <kbd>←</kbd> <kbd>→</kbd> a frame, with <kbd>Shift</kbd> a second, <kbd>Space</kbd> plays
          </span>
        </div>
        <Lanes replay={replay} marks={marks} />
      </section>
      <Entries replay={replay} source={ready.source} trust={ready.trust} trusted={check.trust !== undefined} marks={marks} />
    </>
  );
}

function keys(replay: Replay): () => void {
  const press = (event: KeyboardEvent) => {
    const on = event.target as HTMLElement | null;
    if (on?.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const way = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (way !== 0 && event.shiftKey) replay.to(replay.atUs.value + way * SECOND_US);
    else if (way !== 0) replay.step(way);
    else if (event.key === " " && !on?.matches("button, summary")) replay.playing.value = replay.playing.value === 0 ? 1 : 0;
    else return;
    event.preventDefault();
  };
  addEventListener("keydown", press);
  return () => removeEventListener("keydown", press);
}

function play(replay: Replay): () => void {
  let before = performance.now();
  let frame = requestAnimationFrame(function step(now) {
    if (replay.playing.value !== 0) replay.pass((now - before) * 1000);
    before = now;
    frame = requestAnimationFrame(step);
  });
  return () => cancelAnimationFrame(frame);
}

function n(value: number | undefined): string {
  return (value ?? 0).toLocaleString("en-GB");
}
