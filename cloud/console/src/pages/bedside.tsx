/** *Bedside*: for the person at the patient. Stop always; arm, clear, home and withdraw when they apply. */
import "../styles/hand.css";
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Presses } from "../control/estop";
import { Boot, type Proven } from "../link/boot";
import { type Place } from "../link/rolelink";
import { Station } from "../link/station";
import { random, toHex } from "../wire/bytes";
import { Mode, StateFlag } from "../wire/state";
import { type KitNotice } from "../wire/statement";
import { bedsideStatusOf } from "../words/bedside";
import { onePathNote } from "../words/paths";
import { HoldButton } from "../ui/hold";
import { nowMs } from "../ui/now";
import { Gate } from "./gate";
import { Ritual, TakeOver } from "./ritual";

const REPEAT_MS = 10;
/** A second press within this time does what the first one named. */
const SURE_MS = 4000;

export function bedside(place: Place) {
  const boot = new Boot(place, "bedside");
  void boot.run();
  return <Bedside boot={boot} />;
}

function Bedside({ boot }: { readonly boot: Boot }) {
  const state = boot.state.value;
  return state.is === "ready" ? <Bed proven={state.proven} /> : <Gate state={state} title="Bedside" />;
}

/** A station with a stop button. */
class BedsideStation {
  readonly presses = new Presses();
  readonly station: Station;

  constructor(proven: Proven) {
    this.station = new Station(proven, false, { notice: (notice) => this.presses.acknowledge(notice.presses) });
  }

  start(): void {
    this.station.start();
    setInterval(() => this.#repeat(), REPEAT_MS);
  }

  stop(): void {
    this.presses.press(performance.now(), random(16));
    this.#repeat();
  }

  #repeat(): void {
    for (const press of this.presses.due(performance.now())) void this.station.sendPress(press);
  }
}

function Bed({ proven }: { readonly proven: Proven }) {
  const bed = useMemo(() => started(proven), [proven]);
  const { station } = bed;
  useEffect(() => stopOnEscape(bed), [bed]);
  const now = nowMs.value;
  const notice = station.notice.value;
  const status = bedsideStatusOf({
    link: station.link.value,
    notice: notice && { said: notice.said, ageMs: Math.max(0, now - notice.atMs) },
    unacknowledgedStopMs: bed.presses.waitingMs(now),
    sealed: station.sealed.value,
  });
  const flags = notice?.said.flags ?? 0;
  const holds = notice?.said.closed === false && status.look !== "armed" && status.look !== "engaged";
  return (
    <div class="hand">
      <header>
        <span>
          <strong>Farhand</strong> bedside
        </span>
        <span class="quiet mono">
          {proven.claimed.pseudonym} · {toHex(proven.opening.session).slice(0, 8)}
        </span>
      </header>
      <main class="state" data-look={status.look} role="status" aria-live="assertive" aria-atomic="true">
        <h1 class="word">{status.word}</h1>
        <p class="why">{status.why}</p>
      </main>
      {holds && <p class="quiet">{heldBy(station, notice.said)}</p>}
      {station.link.value.is === "connected" && !station.link.value.cloud && (
        <p class="note" role="status">
          The cloud is offline. The operation goes on; this page still speaks to the edge box.
        </p>
      )}
      {station.link.value.is === "connected" && onePathNote(station.connector.paths(performance.now())) !== "" && (
        <p class="note" role="status">
          {onePathNote(station.connector.paths(performance.now()))}
        </p>
      )}
      <Ritual station={station} flags={flags} />
      <TakeOver station={station} flags={flags} />
      {notice && notice.said.mode !== Mode.Stopped && <Errands station={station} notice={notice.said} />}
      {notice && !notice.said.closed && <Regions station={station} notice={notice.said} />}
      {notice && !notice.said.closed && <Ending station={station} armed={(flags & StateFlag.Armed) !== 0} withdrawn={notice.said.mode === Mode.SafeStop} />}
      <div class="foot">
        <button class="stop" type="button" onClick={() => bed.stop()}>
          Stop
        </button>
      </div>
    </div>
  );
}

function heldBy(station: Station, { holder, flags }: KitNotice): string {
  if (holder === null) return "Nobody holds control.";
  const name = station.nameOf(holder) ?? "A surgeon";
  return (flags & StateFlag.Leased) === 0 ? `${name} held control, and is gone.` : `${name} holds control.`;
}

function started(proven: Proven): BedsideStation {
  const bed = new BedsideStation(proven);
  bed.start();
  return bed;
}

function stopOnEscape(bed: BedsideStation): () => void {
  const pressed = (event: KeyboardEvent) => event.key === "Escape" && !event.repeat && bed.stop();
  window.addEventListener("keydown", pressed, { capture: true });
  return () => window.removeEventListener("keydown", pressed, { capture: true });
}

/** The two that move the arms by themselves: each is pressed twice, so that a brush of the hand starts nothing. */
function Errands({ station, notice }: { readonly station: Station; readonly notice: KitNotice }) {
  const { challenge, flags, arms } = notice;
  const several = arms.length > 1;
  const engaged = (flags & StateFlag.Engaged) !== 0;
  return (
    <section aria-label="Moves by itself">
      <div class="pair">
        <Twice label="Home" again={several ? "Press again: the arms home" : "Press again: the arm homes"} disabled={engaged} act={() => void station.say({ is: "home", challenge })}>
          {engaged ? "Not while a surgeon moves an arm." : several ? "Each finds its zero, slowly." : "Finds its zero, slowly."}
        </Twice>
        <Twice label="Withdraw" again={several ? "Press again: the arms withdraw" : "Press again: the arm withdraws"} disabled={false} act={() => void station.say({ is: "withdraw", challenge })}>
          {several ? "Each leaves the patient along its shaft, slowly." : "Leaves the patient along the shaft, slowly."}
        </Twice>
      </div>
    </section>
  );
}

/** What a surgeon has marked can be lifted from here, too: by then that surgeon may be gone. */
function Regions({ station, notice }: { readonly station: Station; readonly notice: KitNotice }) {
  const told = station.forbidden.value;
  const count = told?.regions.length;
  if (notice.regions === undefined || count === 0) return null;
  const lift = () => void station.say({ is: "forbid", challenge: notice.challenge, version: (notice.regions ?? 0n) + 1n, regions: [] });
  return (
    <section aria-label="Forbidden regions">
      <div class="pair">
        <div>
          <HoldButton label="Lift forbidden regions" holding="Hold on to lift them" act={lift} />
          <p>
            {told === undefined ? "Some are in force; this page was not told which." : `${count === 1 ? "One is" : `${count} are`} in force, by ${told.by.pseudonym}.`} Hold for 1.5 s: the tools may go there again.
          </p>
        </div>
      </div>
    </section>
  );
}

/** Disarming can be undone by arming again; closing and withdrawn consent can't. */
function Ending({ station, armed, withdrawn }: { readonly station: Station; readonly armed: boolean; readonly withdrawn: boolean }) {
  return (
    <section aria-label="Ends motion">
      <div class="pair">
        <Twice label="Disarm" again="Press again: nobody moves anything" disabled={!armed} act={() => void station.say({ is: "disarm" })}>
          {armed ? "Until two people arm the kit again." : "The kit is not armed."}
        </Twice>
        <div>
          <HoldButton label="Close" holding="Hold on to close" act={() => void station.say({ is: "close" })} />
          <p>Hold for 1.5 s. The operation is over, and its record is sealed.</p>
        </div>
        <div>
          <HoldButton
            label="Consent withdrawn"
            holding="Hold on: consent withdrawn"
            disabled={withdrawn}
            act={() => void station.say({ is: "withdraw-consent" })}
          />
          <p>{withdrawn ? "The tool is only drawn out." : "Hold for 1.5 s. The patient says no: from then on the tool is only drawn out."}</p>
        </div>
      </div>
    </section>
  );
}

interface TwiceProps {
  readonly label: string;
  readonly again: string;
  readonly disabled: boolean;
  readonly act: () => void;
  readonly children: string;
}

function Twice({ label, again, disabled, act, children }: TwiceProps) {
  const firstMs = useSignal<number | undefined>(undefined);
  const sure = firstMs.value !== undefined && nowMs.value - firstMs.value < SURE_MS;
  const press = () => {
    if (sure) act();
    firstMs.value = sure ? undefined : performance.now();
  };
  return (
    <div>
      <button class={sure ? "" : "plain"} type="button" disabled={disabled} onClick={press}>
        {sure ? again : label}
      </button>
      <p>{children}</p>
    </div>
  );
}
