/** All keys, on `?`. Escape still stops the arm: it closes this as well. */
import { type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

type Row = readonly [keys: readonly string[], what: string];

/** Only where a picture holds what two eyes see. */
const EYES: Row = [["B"], "both eyes, side by side, for a screen that shows depth; or the left one's picture alone"];

const rowsOf = (stereo: boolean): readonly Row[] => [
  [["Space"], "dead-man: hold it to move, let go to stop"],
  [["Esc"], "stop every arm (e-stop)"],
  [["drag"], "move in the plane of the picture"],
  [["wheel"], "move into the picture and out of it"],
  [["Shift"], "with drag or wheel: turn the wrist, or roll the endoscope"],
  [["right button"], "clutch: the hand is free, the tool stays"],
  [["D", "F"], "open, close the jaw"],
  [["1", "to", "4"], "the hand goes to that arm; the one it leaves stays"],
  [["C"], "while held the hand moves the endoscope"],
  [["Q", "W"], "finer, coarser scale"],
  [["A", "S"], "slower, faster"],
  [["G"], "ghost: a thin line where the tool will be"],
  [["V"], "outlines of what the net sees: all, tools, vessels, none; with vessels a note of those near jaws"],
  ...(stereo ? [EYES] : []),
  [["M"], "mark what the tools must keep out of, with Space up"],
  [["Tab", "Enter"], "go to a button, press it"],
  [["?"], "this list"],
];

export function KeysDialog({ open, stereo }: { readonly open: Signal<boolean>; readonly stereo: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const wanted = open.value;
  useEffect(() => {
    if (wanted) dialog.current?.showModal();
    else dialog.current?.close();
  }, [wanted]);
  return (
    <dialog ref={dialog} class="keys" aria-labelledby="keys-title" onClose={() => (open.value = false)}>
      <h1 id="keys-title">Keys</h1>
      <dl>
        {rowsOf(stereo).map(([keys, what]) => (
          <>
            <dt>
              {keys.map((key) => (
                <>
                  {key === "to" ? key : <kbd>{key}</kbd>}{" "}
                </>
              ))}
            </dt>
            <dd>{what}</dd>
          </>
        ))}
      </dl>
      <p class="quiet">
        Gamepad: right trigger is the dead-man, left stick moves, right stick is depth, shoulders are the jaw, left trigger turns the wrist. Pressed, the right
        stick is the camera; the cross chooses the arm: up, right, down, left for 1 to 4.
      </p>
      <p>
        <button type="button" onClick={() => (open.value = false)}>
          Close
        </button>
      </p>
    </dialog>
  );
}
