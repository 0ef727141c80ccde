/** The picture at the playhead, and what stood at that moment beside it. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { messageAt } from "../../bundle/container";
import { readLeaf } from "../../bundle/leaf";
import { type Source } from "../../bundle/source";
import { Film } from "../../video/film";
import { readCommand } from "../../wire/command";
import { type Replay } from "./replay";
import { type Field, armField, degrees, ms, poseText, stateFields } from "./say";

interface Props {
  readonly replay: Replay;
  readonly source: Source;
}

export function Screen({ replay, source }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [shown, setShown] = useState(-1);
  const [trouble, setTrouble] = useState<string | undefined>(undefined);
  const { frames } = replay.index;
  const film = useMemo(() => {
    const reel = {
      count: frames.at.length,
      isKey: (picture: number) => frames.key[picture] === 1,
      unit: async (picture: number) => {
        const at = frames.at[picture] ?? 0;
        return at === 0 ? undefined : source.read(at, at + (frames.bytes[picture] ?? 0));
      },
    };
    const show = (frame: VideoFrame, picture: number) => {
      const element = canvas.current;
      if (element === null) return;
      [element.width, element.height] = [frame.displayWidth, frame.displayHeight];
      element.getContext("2d")?.drawImage(frame, 0, 0);
      setTrouble(undefined);
      setShown(picture);
    };
    return new Film(reel, show, setTrouble);
  }, [replay, source]);
  useEffect(() => {
    const none = () => {
      setShown(-1);
      setTrouble(replay.eye.value === "seen" ? "The surgeon's screen has shown none yet." : "None was captured yet.");
    };
    const end = replay.picture.subscribe((picture) => (picture >= 0 ? film.ask(picture) : none()));
    return () => {
      end();
      film.close();
    };
  }, [film]);
  const seen = replay.eye.value === "seen";
  const number = frames.number[shown];
  return (
    <figure class="screen">
      <canvas ref={canvas} hidden={shown < 0} role="img" aria-label={number === undefined ? "No picture" : `Frame ${number}`} data-frame={number} />
      {trouble && <p class="note">{trouble}</p>}
      <figcaption>
        <span class="eyes" role="group" aria-label="Whose eyes">
          <button type="button" class="plain" aria-pressed={!seen} onClick={() => (replay.eye.value = "captured")}>
            As captured
          </button>
          <button type="button" class="plain" aria-pressed={seen} onClick={() => (replay.eye.value = "seen")}>
            As the surgeon saw it
          </button>
        </span>
        <span>{caption(replay, shown)}</span>
      </figcaption>
    </figure>
  );
}

function caption({ index, atUs, eye }: Replay, shown: number): string {
  const { number, capturedUs, shownUs } = index.frames;
  if (number[shown] === undefined) return "";
  const age = ms((atUs.value - (capturedUs[shown] ?? 0)) / 1000);
  if (eye.value === "captured") return `Frame ${number[shown]}, captured ${age} before this moment`;
  const late = ms(((shownUs[shown] ?? 0) - (capturedUs[shown] ?? 0)) / 1000);
  return `Frame ${number[shown]}, captured ${age} before this moment, ${late} glass to glass`;
}

/** The kit's newest state and the newest command, as they stood. */
export function Moment({ replay, source }: Props) {
  const command = useLeaf(source, replay, replay.command.value);
  const state = useLeaf(source, replay, replay.state.value);
  const at = replay.atUs.value;
  const ageOf = (leaf: number) => (leaf < 0 ? "" : `${ms((at - (replay.index.utcUs[leaf] ?? at)) / 1000)} old`);
  const said = command?.what.is === "command" ? readCommand(command.what.bytes) : undefined;
  const inForce: Field[] = said
    ? [
        ["sequence", `${said.sequence} under token ${said.token}`],
        ...armField(said.arm, replay.index.arms),
        ["target", poseText(said.target)],
        ["jaw", degrees(said.jawRad)],
        ["dead-man", said.deadMan ? "held" : "released"],
        ["sent on frame", said.frameSeen === 0n ? "none" : `${said.frameSeen}${said.frameAgeUs === undefined ? "" : `, ${ms(said.frameAgeUs / 1000)} old`}`],
      ]
    : [];
  const arm = state?.what.is === "kit state" ? safely(() => stateFields(state.what.is === "kit state" ? state.what.bytes : new Uint8Array(), replay.index.arms)) : [];
  return (
    <div class="moment">
      <Facts title="Command in force" aside={ageOf(replay.command.value)} fields={inForce} none="No command yet." />
      <Facts title="Arm" aside={ageOf(replay.state.value)} fields={arm} none="No state of the kit yet: nobody had control." />
    </div>
  );
}

interface FactsProps {
  readonly title: string;
  readonly aside: string;
  readonly fields: readonly Field[];
  readonly none: string;
}

export function Facts({ title, aside, fields, none }: FactsProps) {
  return (
    <section aria-label={title}>
      <h2>
        {title} <span class="end">{aside}</span>
      </h2>
      {fields.length === 0 && <p class="quiet">{none}</p>}
      <dl>
        {fields.map(([name, value], i) => (
          <div key={i}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** A leaf's content, read from the file; what is shown until then is the one before. */
function useLeaf(source: Source, { index }: Replay, leaf: number) {
  const [entry, setEntry] = useState<ReturnType<typeof readLeaf> | undefined>(undefined);
  useEffect(() => {
    let wanted = true;
    const read = leaf < 0 ? Promise.resolve(undefined) : messageAt(source, index.at[leaf] ?? 0).then(readLeaf);
    read.then((found) => wanted && setEntry(found)).catch(() => wanted && setEntry(undefined));
    return () => void (wanted = false);
  }, [source, index, leaf]);
  return entry;
}

function safely(fields: () => Field[]): Field[] {
  try {
    return fields();
  } catch {
    return [["", "can't be read: it is among the findings"]];
  }
}
