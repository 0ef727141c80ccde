/** *Operate*: the surgeon's page. One screen; the picture fills it and nothing covers its middle. */
import "../styles/operate.css";
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Surgeon } from "../control/surgeon";
import { listen } from "../control/hands";
import { Boot, type Proven } from "../link/boot";
import { type Place } from "../link/rolelink";
import { expose } from "../testsurface";
import { nowMs } from "../ui/now";
import { next } from "../video/sight";
import { watch } from "../video/viewer";
import { type Status, statusOf } from "../words/status";
import { factsOf } from "./operate/facts";
import { Ghost } from "./operate/ghost";
import { KeysDialog } from "./operate/keys";
import { Left, Right, Top } from "./operate/panels";
import { Regions } from "./operate/regions";
import { Sight } from "./operate/sight";
import { Line } from "./operate/strip";
import { Gate } from "./gate";

/** `?test=1`: figures for a test. `?test=stamp`: the stamp in the pixels as well, which costs a copy of every frame in this thread. */
const test = new URLSearchParams(location.search).get("test");

/** Whether the browser can show half of a picture alone. */
const canHalve = CSS.supports("object-view-box", "inset(0 50% 0 0)");

export function operate(place: Place) {
  const boot = new Boot(place, "surgeon");
  void boot.run();
  return <Operate boot={boot} />;
}

function Operate({ boot }: { readonly boot: Boot }) {
  const state = boot.state.value;
  return state.is === "ready" ? <Theatre proven={state.proven} /> : <Gate state={state} title="Operate" />;
}

function Theatre({ proven }: { readonly proven: Proven }) {
  const surgeon = useMemo(() => started(proven), [proven]);
  const help = useSignal(false);
  const picture = useRef<HTMLDivElement>(null);
  const status = useComputed(() => statusOf(factsOf(surgeon, nowMs.value)));
  useEffect(() => (test !== null ? expose(surgeon, () => status.peek()) : undefined), [surgeon, status]);
  useEffect(
    () =>
      picture.current === null
        ? undefined
        : listen(picture.current, {
            give: (input) => surgeon.give(input),
            stop: () => surgeon.stop(),
            help: () => (help.value = !help.value),
            ghost: () => (surgeon.ghost.value = !surgeon.ghost.peek()),
            sight: () => surgeon.want(next(surgeon.wanted.peek())),
            eyes: () => canHalve && surgeon.turnEyes(),
            mark: () => surgeon.mark(!surgeon.marking.peek()),
          }),
    [surgeon, help],
  );
  return (
    <div class="operate" data-look={status.value.look}>
      <Top surgeon={surgeon} help={help} />
      <State status={status.value} />
      <Left surgeon={surgeon} />
      <main class="picture" ref={picture} aria-label="Picture" data-eyes={surgeon.eyesShown}>
        <Video surgeon={surgeon} />
        <Sight surgeon={surgeon} />
        <Ghost surgeon={surgeon} />
        <Regions surgeon={surgeon} />
      </main>
      <Right surgeon={surgeon} />
      <Line surgeon={surgeon} />
      <KeysDialog open={help} stereo={surgeon.eyesShown !== undefined} />
    </div>
  );
}

function started(proven: Proven): Surgeon {
  const surgeon = new Surgeon(proven);
  if (!canHalve) surgeon.eyes.value = "both";
  surgeon.start();
  return surgeon;
}

/** Word and reason are shown as they change; a screen reader is told of the word alone, or it would never fall silent. */
function State({ status }: { readonly status: Status }) {
  return (
    <div class="state">
      <span class="word" aria-hidden="true">
        {status.word}
      </span>
      <span class="why">{status.why}</span>
      <span class="hidden-but-read" role="status" aria-live="assertive">
        {status.word}
      </span>
    </div>
  );
}

/** One element a path, one upon the other: on top is whichever showed the newest picture. */
function Video({ surgeon }: { readonly surgeon: Surgeon }) {
  const onTop = useSignal(0);
  const shown = nowMs.value > 0 && surgeon.frames.newest !== undefined;
  return (
    <>
      <div class="screens">
        {surgeon.streams.value.map(([path, stream]) => (
          <Screen key={path} surgeon={surgeon} stream={stream} isOnTop={path === onTop.value} shown={() => (onTop.value = path)} />
        ))}
      </div>
      {!shown && <p class="no-picture">No picture yet</p>}
    </>
  );
}

interface ScreenProps {
  readonly surgeon: Surgeon;
  readonly stream: MediaStream;
  readonly isOnTop: boolean;
  readonly shown: () => void;
}

function Screen({ surgeon, stream, isOnTop, shown }: ScreenProps) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    element.srcObject = stream;
    return watch(element, test === "stamp", (frame) => surgeon.presented(frame) && shown());
  }, [surgeon, stream]);
  return <video ref={video} class={isOnTop ? "on-top" : ""} aria-hidden={!isOnTop} autoplay muted playsInline disablePictureInPicture aria-label="Endoscope" />;
}
