/**
 * From keyboard, mouse and gamepad to the control's inputs. Losing focus, tab, pointer or gamepad is letting go.
 * While this page operates, Space is the dead-man wherever the focus is: buttons are pressed with Enter.
 */
import { type Input } from "./machine";

export const KEYS = {
  deadMan: "Space",
  stop: "Escape",
  jawOpen: "KeyD",
  jawClose: "KeyF",
  scaleFiner: "KeyQ",
  scaleCoarser: "KeyW",
  speedSlower: "KeyA",
  speedFaster: "KeyS",
  ghost: "KeyG",
  sight: "KeyV",
  eyes: "KeyB",
  camera: "KeyC",
  mark: "KeyM",
  arms: ["Digit1", "Digit2", "Digit3", "Digit4"],
} as const;

const PRIMARY = 1;
const SECONDARY = 2;
const LINE_PX = 33;
const TRIGGER = 7;
const TRIGGER_MIN = 0.5;
const STICK_MIN = 0.12;
const STICK_PX_S = 600;
/** The right stick, pressed. */
const STICK_BUTTON = 11;
/** Up, right, down, left: the arms in their order. */
const CROSS = [12, 15, 13, 14] as const;

export interface Hands {
  readonly give: (input: Input) => void;
  readonly stop: () => void;
  readonly help: () => void;
  /** Shows the ghost, or hides it. */
  readonly ghost: () => void;
  /** Shows more or less of what the net sees. */
  readonly sight: () => void;
  /** Shows what one eye sees, or what both do. */
  readonly eyes: () => void;
  /** Marks a forbidden region, or does not after all. */
  readonly mark: () => void;
}

/** Listens until the returned function is called. `picture`: where dragging counts. */
export function listen(picture: HTMLElement, hands: Hands): () => void {
  const off = new AbortController();
  const { signal } = off;
  const letGo = (why: "focus" | "hidden" | "pointer" | "gamepad") => hands.give({ is: "let-go", why });
  keyboard(hands, signal);
  mouse(picture, hands, signal);
  gamepad(hands, signal);
  window.addEventListener("blur", () => letGo("focus"), { signal });
  window.addEventListener("pagehide", () => letGo("hidden"), { signal });
  document.addEventListener("visibilitychange", () => document.hidden && letGo("hidden"), { signal });
  return () => off.abort();
}

function keyboard({ give, stop, help, ghost, sight, eyes, mark }: Hands, signal: AbortSignal): void {
  const jaw = new Set<string>();
  const turnJaw = () => give({ is: "jaw", direction: (Number(jaw.has(KEYS.jawOpen)) - Number(jaw.has(KEYS.jawClose))) as -1 | 0 | 1 });
  const pressed: Readonly<Record<string, () => void>> = {
    [KEYS.deadMan]: () => give({ is: "dead-man", source: "key", down: true }),
    [KEYS.stop]: stop,
    [KEYS.jawOpen]: () => (jaw.add(KEYS.jawOpen), turnJaw()),
    [KEYS.jawClose]: () => (jaw.add(KEYS.jawClose), turnJaw()),
    [KEYS.scaleFiner]: () => give({ is: "scale", step: -1 }),
    [KEYS.scaleCoarser]: () => give({ is: "scale", step: 1 }),
    [KEYS.speedSlower]: () => give({ is: "speed", step: -1 }),
    [KEYS.speedFaster]: () => give({ is: "speed", step: 1 }),
    [KEYS.ghost]: ghost,
    [KEYS.sight]: sight,
    [KEYS.eyes]: eyes,
    [KEYS.mark]: mark,
    [KEYS.camera]: () => give({ is: "camera", source: "key", down: true }),
    ...Object.fromEntries(KEYS.arms.map((key, arm) => [key, () => give({ is: "arm", arm })])),
  };
  const down = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.code === KEYS.deadMan) event.preventDefault();
    if (event.repeat) return;
    if (event.key === "?") help();
    pressed[event.code]?.();
  };
  const up = (event: KeyboardEvent) => {
    if (event.code === KEYS.deadMan) {
      event.preventDefault();
      give({ is: "dead-man", source: "key", down: false });
    } else if (event.code === KEYS.camera) {
      give({ is: "camera", source: "key", down: false });
    } else if (jaw.delete(event.code)) {
      turnJaw();
    }
  };
  const lost = () => {
    jaw.clear();
    give({ is: "camera", source: "key", down: false });
  };
  window.addEventListener("keydown", down, { signal, capture: true });
  window.addEventListener("keyup", up, { signal, capture: true });
  window.addEventListener("blur", lost, { signal });
}

function mouse(picture: HTMLElement, { give }: Hands, signal: AbortSignal): void {
  let last: { x: number; y: number } | undefined;
  let clutch = false;
  const update = (event: PointerEvent) => {
    const wanted = (event.buttons & SECONDARY) !== 0;
    if (wanted !== clutch) give({ is: "clutch", down: (clutch = wanted) });
    const dragging = (event.buttons & PRIMARY) !== 0;
    const from = last;
    last = dragging ? { x: event.clientX, y: event.clientY } : undefined;
    if (!dragging || from === undefined) return;
    const [rightPx, downPx] = [event.clientX - from.x, event.clientY - from.y];
    if (rightPx !== 0 || downPx !== 0) give({ is: "hand", move: { rightPx, downPx, intoPx: 0, turning: event.shiftKey } });
  };
  const pressed = (event: PointerEvent) => {
    picture.setPointerCapture(event.pointerId);
    update(event);
  };
  const cancelled = () => {
    last = undefined;
    if (clutch) give({ is: "clutch", down: (clutch = false) });
    give({ is: "let-go", why: "pointer" });
  };
  const rolled = (event: WheelEvent) => {
    event.preventDefault();
    const px = -(event.deltaY || event.deltaX) * (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : LINE_PX);
    give({ is: "hand", move: { rightPx: 0, downPx: 0, intoPx: px, turning: event.shiftKey } });
  };
  picture.addEventListener("pointerdown", pressed, { signal });
  // Raw events come at the mouse's own rate; plain ones wait for the animation frame, and say the same once more.
  for (const name of ["pointerrawupdate", "pointermove", "pointerup"]) {
    picture.addEventListener(name, update as EventListener, { signal });
  }
  picture.addEventListener("pointercancel", cancelled, { signal });
  picture.addEventListener("wheel", rolled, { signal, passive: false });
  picture.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
}

/** Right trigger: dead-man. Left stick: view plane. Right stick: depth, pressed: camera. Shoulders: jaw. Cross: arms. */
function gamepad({ give }: Hands, signal: AbortSignal): void {
  let [held, seenUp, looking, jaw, atMs] = [false, false, false, 0, 0];
  const poll = () => {
    const pad = navigator.getGamepads().find((one) => one?.connected === true && one.mapping === "standard");
    if (!pad) return;
    const trigger = (pad.buttons[TRIGGER]?.value ?? 0) > TRIGGER_MIN;
    // A trigger that is held when the gamepad comes was not pressed here.
    seenUp ||= !trigger;
    if (seenUp && trigger !== held) give({ is: "dead-man", source: "trigger", down: (held = trigger) });
    const turned = Number(pad.buttons[5]?.pressed ?? false) - Number(pad.buttons[4]?.pressed ?? false);
    if (turned !== jaw) give({ is: "jaw", direction: (jaw = turned) as -1 | 0 | 1 });
    const pressed = (button: number) => pad.buttons[button]?.pressed ?? false;
    if (pressed(STICK_BUTTON) !== looking) give({ is: "camera", source: "trigger", down: (looking = !looking) });
    const arm = CROSS.findIndex(pressed);
    if (arm >= 0) give({ is: "arm", arm });
    const now = performance.now();
    sticks(pad, Math.min(now - atMs, 50) / 1000, give);
    atMs = now;
  };
  const timer = setInterval(poll, 8);
  signal.addEventListener("abort", () => clearInterval(timer));
  const lost = () => {
    seenUp = false;
    give({ is: "camera", source: "trigger", down: (looking = false) });
    if (!held) return;
    give({ is: "let-go", why: "gamepad" });
    held = false;
    give({ is: "dead-man", source: "trigger", down: false });
  };
  window.addEventListener("gamepaddisconnected", lost, { signal });
}

function sticks(pad: Gamepad, seconds: number, give: Hands["give"]): void {
  const axis = (i: number) => {
    const value = pad.axes[i] ?? 0;
    return Math.abs(value) < STICK_MIN ? 0 : value * STICK_PX_S * seconds;
  };
  const [rightPx, downPx, intoPx] = [axis(0), axis(1), -axis(3)];
  if (rightPx === 0 && downPx === 0 && intoPx === 0) return;
  give({ is: "hand", move: { rightPx, downPx, intoPx, turning: pad.buttons[6]?.pressed ?? false } });
}
