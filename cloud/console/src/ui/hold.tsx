/**
 * A button that acts when it was held for long enough: for what can't be taken back. Pointer or Enter; letting go early does
 * nothing. A press without a hold, as assistive technology makes one, counts when it comes a second time.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

const HOLD_MS = 1500;
const STEP_MS = 50;
/** A second press within this time does what the first one named. */
const SURE_MS = 4000;

interface Props {
  readonly label: string;
  /** While it is held. */
  readonly holding: string;
  readonly act: () => void;
  readonly disabled?: boolean;
}

export function HoldButton({ label, holding, act, disabled = false }: Props) {
  const share = useSignal(0);
  const asked = useSignal(false);
  const timer = useRef<ReturnType<typeof setInterval>>();
  const pressedMs = useRef(Number.NEGATIVE_INFINITY);
  const release = () => {
    clearInterval(timer.current);
    timer.current = undefined;
    share.value = 0;
  };
  const hold = () => {
    if (timer.current !== undefined || disabled) return;
    const sinceMs = performance.now();
    timer.current = setInterval(() => {
      share.value = Math.min(1, (performance.now() - sinceMs) / HOLD_MS);
      if (share.value < 1) return;
      release();
      act();
    }, STEP_MS);
  };
  const clicked = (event: MouseEvent) => {
    if (event.detail !== 0) return;
    const sure = performance.now() - pressedMs.current < SURE_MS;
    pressedMs.current = sure ? Number.NEGATIVE_INFINITY : performance.now();
    asked.value = !sure;
    if (sure) act();
  };
  const keyed = (event: KeyboardEvent) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) hold();
  };
  useEffect(() => release, []);
  useEffect(() => (disabled ? release() : undefined), [disabled]);
  const text = share.value > 0 ? holding : asked.value ? `Press again: ${label.toLowerCase()}` : label;
  return (
    <button
      class="plain hold"
      type="button"
      disabled={disabled}
      style={{ "--held": String(share.value) }}
      onPointerDown={(event) => event.button === 0 && hold()}
      onPointerUp={release}
      onPointerLeave={release}
      onPointerCancel={release}
      onKeyDown={keyed}
      onKeyUp={release}
      onBlur={release}
      onClick={clicked}
    >
      <span>{text}</span>
    </button>
  );
}
