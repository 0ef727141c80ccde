/** What is so in the simulated world, by its own word. */
import { type JSX } from "preact";
import { isRecord } from "../../link/api";
import { figure } from "../../ui/figures";
import { Panel } from "./panel";

type Truths = Readonly<Record<string, unknown>> | null;

export function Truth({ truth }: { readonly truth: Truths }) {
  if (truth === null) return <></>;
  const arm = isRecord(truth["arm"]) ? truth["arm"] : {};
  const aircraft = isRecord(truth["aircraft"]) ? truth["aircraft"] : {};
  return (
    <Panel title="What is so" note="By the world's own word, five times a second. No part of an operation knows it.">
      <dl class="rows">
        <dt>Jaws' end, arm's base</dt>
        <dd>{place(truth["jaw_end_mm"])}</dd>
        <dt>To the object</dt>
        <dd>{figure(number(truth["error_mm"]), "mm", 1)}</dd>
        <dt>Tip's speed</dt>
        <dd>{figure(number(truth["moving"]), "mm/s", 1)}</dd>
        <dt>Jaw</dt>
        <dd>{figure(degrees(truth["jaw_rad"]), "°")}</dd>
        <dt>Holds it</dt>
        <dd>{yes(truth["grasped"])}</dd>
        <dt>Arm homed, fault, watchdog</dt>
        <dd>{[arm["homed"], arm["fault"], arm["watchdog"]].map(yes).join(", ")}</dd>
        <dt>Aircraft</dt>
        <dd>
          {String(aircraft["mode"] ?? "–")}, {figure(number(aircraft["altitude_m"]), "m")} up, kit {aircraft["released"] === true ? "off" : "aboard"}
        </dd>
        <dt>Pictures</dt>
        <dd>{figure(number(truth["frames"]), "")}</dd>
      </dl>
    </Panel>
  );
}

/** What is being practised, if anything is. */
export function Exercise({ truth }: { readonly truth: Truths }) {
  const exercise = truth === null ? undefined : truth["exercise"];
  if (!isRecord(exercise)) return <></>;
  return (
    <Panel title="Exercise">
      <dl class="rows">
        {Object.entries(exercise).flatMap(([name, value]) => rows(name, value))}
      </dl>
    </Panel>
  );
}

function rows(name: string, value: unknown): JSX.Element[] {
  if (isRecord(value)) return Object.entries(value).flatMap(([inner, said]) => rows(inner, said));
  return [<dt key={name}>{inWords(name)}</dt>, <dd key={`${name}:`}>{said(value)}</dd>];
}

function inWords(name: string): string {
  const words = name.replaceAll("_", " ");
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}

function said(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : value.toFixed(2);
  if (typeof value === "boolean") return yes(value);
  return value === null || value === undefined ? "–" : String(value);
}

function place(value: unknown): string {
  return Array.isArray(value) ? `${value.map((mm) => (typeof mm === "number" ? mm.toFixed(1) : "–")).join(", ")} mm` : "–";
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function degrees(value: unknown): number | undefined {
  return typeof value === "number" ? (value * 180) / Math.PI : undefined;
}

function yes(value: unknown): string {
  return value === true ? "yes" : value === false ? "no" : "–";
}
