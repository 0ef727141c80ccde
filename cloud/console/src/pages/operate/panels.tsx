/** What stands around the picture: session above, arm on the left, what to do on the right. */
import { type Signal } from "@preact/signals";
import { type ComponentChildren } from "preact";
import { type Surgeon } from "../../control/surgeon";
import { toHex } from "../../wire/bytes";
import { type KitState, StateFlag } from "../../wire/state";
import { ArmKind, type ArmNotice } from "../../wire/statement";
import { figure, utc } from "../../ui/figures";
import { HoldButton } from "../../ui/hold";
import { nowMs } from "../../ui/now";
import { armInWords } from "../../words/arms";
import { onePathNote } from "../../words/paths";
import { sightInShort, sightNote, tipNote, vesselNote } from "../../words/sight";
import { seconds } from "../../words/status";
import { RegionsTask } from "./regions";
import { Ritual, TakeOver, flagsOf } from "../ritual";

interface Props {
  readonly surgeon: Surgeon;
}

export function Top({ surgeon, help }: Props & { readonly help: Signal<boolean> }) {
  const { opening, claimed } = surgeon.station.proven;
  const others = opening.roster.filter(({ role }) => role !== "surgeon").map(({ pseudonym }) => pseudonym);
  void nowMs.value;
  return (
    <header class="top">
      <strong>Farhand</strong>
      <span class="mono" title={`Session ${toHex(opening.session)}`}>
        Session {toHex(opening.session).slice(0, 8)}
      </span>
      <span>
        {claimed.pseudonym} <span class="quiet">you, with {others.join(", ")}</span>
      </span>
      <span class="quiet" title="A quorum of the ledger's validators committed the opening, consent and custody; checked in this browser.">
        Opening proven at height {String(opening.height)}, custody {opening.custodySteps} steps
      </span>
      <span class="end mono">{utc(new Date())}</span>
      <button class="plain" type="button" aria-haspopup="dialog" onClick={() => (help.value = true)}>
        <kbd>?</kbd> Keys
      </button>
    </header>
  );
}

export function Left({ surgeon }: Props) {
  const { station } = surgeon;
  const view = surgeon.view.value;
  const state = surgeon.state?.said;
  const flags = flagsOf(station, state);
  const several = surgeon.arms.length > 1;
  void nowMs.value;
  return (
    <aside class={several ? "panel left compact" : "panel left"} aria-label={several ? "Arms" : "Arm"} tabIndex={0}>
      <Rows title="Control">
        <Row name="Held by">{holderOf(surgeon)}</Row>
        <Row name="Lease">{view.holdsControl && state ? String(state.token) : "–"}</Row>
        {several ? (
          <Row name="Armed">{(flags & StateFlag.Armed) !== 0 ? "Yes" : "No"}</Row>
        ) : (
          <Row name="Engagement">{view.phase === "engaged" ? String(view.engagement) : "–"}</Row>
        )}
      </Rows>
      {several ? (
        <Arms surgeon={surgeon} />
      ) : (
        <Rows title="Arm 1, needle driver">
          <Row name="Armed">{(flags & StateFlag.Armed) !== 0 ? "Yes" : "No"}</Row>
          <Row name="Homed">{(flags & StateFlag.Homed) !== 0 ? "Yes" : "No"}</Row>
          <Row name="Jaw">{jawOf(state)}</Row>
          <Row name="Grasping">{(flags & StateFlag.Grasping) !== 0 ? "Yes" : "No"}</Row>
          <Row name="Lag">{figure(state?.lagMm, "mm", 1)}</Row>
          <Row name="Speed cap">{figure(state?.speedLimitMmS, "mm/s")}</Row>
        </Rows>
      )}
      <Rows title="Your hand">
        <Row name="Scale" keys="Q W">
          {view.scale.toFixed(2)}
        </Row>
        <Row name="Speed" keys="A S">
          {view.speedMmS} mm/s
        </Row>
        <Row name="Dead-man" keys="Space">
          {view.deadMan ? "Held" : "Up"}
        </Row>
        <Row name="Ghost" keys="G">
          {surgeon.camera.value === undefined ? "–" : surgeon.ghost.value ? "On" : "Off"}
        </Row>
        <Row name="Outlines" keys="V">
          {sightInShort(surgeon.wanted.value, surgeon.sight.over(surgeon.frames.newest))}
        </Row>
        {surgeon.eyesShown !== undefined && (
          <Row name="Eyes" keys="B">
            {surgeon.eyesShown === "left" ? "Left" : "Both"}
          </Row>
        )}
      </Rows>
      <Rows title="Commands">
        <Row name="Taken in">{state ? String(state.applied) : "–"}</Row>
        <Row name="Refused">{state ? String(state.rejected) : "–"}</Row>
        <Row name="Not authentic">{state ? String(state.unauthentic) : "–"}</Row>
      </Rows>
      <Record surgeon={surgeon} />
    </aside>
  );
}

/** A card an arm, to press: there the hand goes. */
function Arms({ surgeon }: Props) {
  const [hand, state] = [surgeon.view.value.arm, surgeon.state?.said];
  void nowMs.value;
  return (
    <section class="arms">
      <h2>Arms</h2>
      {surgeon.arms.map((notice, arm) => (
        <ArmCard key={arm} arm={arm} notice={notice} state={surgeon.states[arm]?.said} hasHand={arm === hand} choose={() => surgeon.give({ is: "arm", arm })} />
      ))}
      <dl>
        <Row name="Lag">{figure(state?.lagMm, "mm", 1)}</Row>
        <Row name="Speed cap">{figure(state?.speedLimitMmS, "mm/s")}</Row>
      </dl>
    </section>
  );
}

interface ArmCardProps {
  readonly arm: number;
  readonly notice: ArmNotice;
  readonly state: KitState | undefined;
  readonly hasHand: boolean;
  readonly choose: () => void;
}

function ArmCard({ arm, notice, state, hasHand, choose }: ArmCardProps) {
  const { look, word } = state ? armInWords(state) : { look: "still", word: "–" };
  const isInstrument = notice.kind === ArmKind.Instrument;
  const grasps = state !== undefined && (state.flags & StateFlag.Grasping) !== 0;
  return (
    <button type="button" class="plain arm" aria-pressed={hasHand} data-look={look} onClick={choose}>
      <kbd>{arm + 1}</kbd>
      <span class="name">{notice.name}</span>
      <span class="word">{word}</span>
      <span class="quiet">{isInstrument ? "instrument" : "endoscope"}</span>
      <span class="quiet end">{isInstrument ? `${grasps ? "grasps" : "jaw"} ${jawOf(state)}` : ""}</span>
    </button>
  );
}

function jawOf(state: KitState | undefined): string {
  return figure(state && (state.jawRad * 180) / Math.PI, "°");
}

/** What the edge box has written down, and what this page has signed. */
function Record({ surgeon }: Props) {
  const durable = surgeon.durable.peek()?.said;
  const ours = durable !== undefined && durable.token === surgeon.state?.said.token;
  const lagMs = surgeon.view.value.holdsControl ? surgeon.recordLagMs(performance.now()) : undefined;
  void nowMs.value;
  return (
    <Rows title="Record">
      <Row name="On record to">{ours ? String(durable.newest) : "–"}</Row>
      <Row name="Behind">{lagMs === undefined ? "–" : seconds(lagMs)}</Row>
      <Row name="Signed lists">{String(surgeon.scribe.segments)}</Row>
      <Row name="Pictures as sent">{String(surgeon.displayed.asSent)}</Row>
      {surgeon.displayed.other > 0 && <Row name="Other pictures">{String(surgeon.displayed.other)}</Row>}
    </Rows>
  );
}

function holderOf({ view, station }: Surgeon): string {
  const notice = station.notice.value?.said;
  if (notice?.closed) return "Nobody";
  if (view.value.holdsControl) return "You";
  if (!notice?.holder) return "Nobody";
  return station.isOurs(notice.holder) ? "You, lapsed" : (station.nameOf(notice.holder) ?? "Another");
}

function Rows({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  return (
    <section>
      <h2>{title}</h2>
      <dl>{children}</dl>
    </section>
  );
}

function Row({ name, keys, children }: { readonly name: string; readonly keys?: string; readonly children: ComponentChildren }) {
  return (
    <>
      <dt>
        {name}{" "}
        {keys?.split(" ").map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </dt>
      <dd>{children}</dd>
    </>
  );
}

export function Right({ surgeon }: Props) {
  const view = surgeon.view.value;
  const flags = flagsOf(surgeon.station, surgeon.state?.said);
  const armed = (flags & StateFlag.Armed) !== 0;
  const leased = view.holdsControl && (flags & StateFlag.Leased) !== 0;
  const closed = surgeon.station.notice.value?.said.closed ?? false;
  return (
    <aside class="panel right" aria-label="Task" tabIndex={0}>
      <Notes surgeon={surgeon} />
      <Ritual station={surgeon.station} flags={flags} />
      {armed && !leased && !closed && (
        <section class="task">
          <h2>Control</h2>
          <p>One console at a time moves the tool.</p>
          <button type="button" disabled={surgeon.asking.value} onClick={() => void surgeon.takeControl()}>
            Take control
          </button>
        </section>
      )}
      <TakeOver station={surgeon.station} flags={flags} />
      {!view.holdsControl && !closed && (
        <p class="quiet">
          <a href={`/line/${surgeon.station.proven.identity.link}`}>Test the line</a> from this place first.
        </p>
      )}
      {leased && !closed && <HowTo arms={surgeon.arms} hand={view.arm} />}
      {leased && !closed && <RegionsTask surgeon={surgeon} />}
      {leased && !closed && <HandOver surgeon={surgeon} />}
      {leased && !closed && (
        <section class="task close">
          <h2>End of the operation</h2>
          <HoldButton label="Close the operation" holding="Hold on to close" act={() => void surgeon.close()} />
          <p class="quiet">Hold for 1.5 s. The kit disarms for good.</p>
        </section>
      )}
      <button class="stop" type="button" onClick={() => surgeon.stop()}>
        Stop
        <small>or Escape, any time</small>
      </button>
    </aside>
  );
}

/** What goes on in the background and needs nobody now. */
function Notes({ surgeon }: Props) {
  const link = surgeon.station.link.value;
  void nowMs.value;
  const notes = [
    link.is === "connected" && !link.cloud ? "The cloud is offline. The operation goes on; this page still speaks to the edge box." : "",
    link.is === "connected" ? onePathNote(surgeon.station.connector.paths(performance.now())) : "",
    recordNote(surgeon),
    sightNote(surgeon.wanted.value, surgeon.sight.over(surgeon.frames.newest), surgeon.noSight.value),
    surgeon.wanted.value === "off" ? "" : tipNote(surgeon.tips.raised),
    vesselNote(surgeon.vesselsNear),
    surgeon.displayed.other > 0 ? "Pictures came that are not those the edge box sent. Tell the bedside." : "",
  ].filter((note) => note !== "");
  return (
    <div class="notes" role="status">
      {notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </div>
  );
}

/** The kit holds at 100 ms of motion that is not on record; this page only says so when the record falls far behind. */
const RECORD_LAG_MS_MAX = 1000;

function recordNote(surgeon: Surgeon): string {
  const lagMs = surgeon.view.value.holdsControl ? surgeon.recordLagMs(performance.now()) : undefined;
  return lagMs === undefined || lagMs < RECORD_LAG_MS_MAX ? "" : `The record is ${seconds(lagMs)} behind. The tool holds until it has caught up.`;
}

/** To another surgeon who is here. Held, so that a slip of the hand gives nothing away. */
function HandOver({ surgeon }: Props) {
  const { station } = surgeon;
  const holder = station.notice.value?.said.holder ?? null;
  const others = station.surgeonsBut(holder);
  if (others.length === 0) return <></>;
  return (
    <section class="task">
      <h2>Hand over</h2>
      {others.map(({ pseudonym, sessionKey }) => (
        <HoldButton key={pseudonym} label={`Hand over to ${pseudonym}`} holding={`Hold on: to ${pseudonym}`} act={() => void surgeon.handOver(sessionKey)} />
      ))}
      <p class="quiet">Hold for 1.5 s. The tool holds; {others.length === 1 ? "they take" : "that one takes"} control when ready.</p>
    </section>
  );
}

function HowTo({ arms, hand }: { readonly arms: readonly ArmNotice[]; readonly hand: number }) {
  const atEndoscope = arms[hand]?.kind === ArmKind.Endoscope;
  return (
    <section class="task">
      <h2>With Space held</h2>
      <dl class="how">
        <dt>Move</dt>
        <dd>drag</dd>
        <dt>Depth</dt>
        <dd>wheel</dd>
        <dt>{atEndoscope ? "Roll the picture" : "Turn the wrist"}</dt>
        <dd>
          <kbd>Shift</kbd> drag
        </dd>
        {!atEndoscope && (
          <>
            <dt>Jaw open, close</dt>
            <dd>
              <kbd>D</kbd> <kbd>F</kbd>
            </dd>
          </>
        )}
        <dt>Free the hand</dt>
        <dd>right button</dd>
        {arms.length > 1 && (
          <>
            <dt>Arm</dt>
            <dd>
              <kbd>1</kbd> to <kbd>{arms.length}</kbd>
            </dd>
          </>
        )}
        {arms.length > 1 && arms.some(({ kind }) => kind === ArmKind.Endoscope) && (
          <>
            <dt>Endoscope</dt>
            <dd>
              hold <kbd>C</kbd>
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}
