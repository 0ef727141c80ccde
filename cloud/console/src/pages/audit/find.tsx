/** Finding a session: by anything that is known of it, or a file of the auditor's own. */
import { useState } from "preact/hooks";
import { type HeadOf } from "./archive";
import { type Bundle } from "./model";

interface Props {
  readonly wanted: string;
  readonly want: (text: string) => void;
  readonly open: (file: File) => void;
}

export function Find({ wanted, want, open }: Props) {
  const [over, setOver] = useState(false);
  const take = (files: FileList | null | undefined) => files?.[0] && open(files[0]);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer?.files);
  };
  const drag = (event: DragEvent) => {
    event.preventDefault();
    setOver(true);
  };
  return (
    <div class="find">
      <label>
        Find a session
        <input type="search" value={wanted} placeholder="person, role, date, verdict, session" onInput={(event) => want(event.currentTarget.value)} />
      </label>
      <label class="drop" data-over={over} onDrop={drop} onDragOver={drag} onDragLeave={() => setOver(false)}>
        Or drop a bundle of your own here: it stays on this device
        <input type="file" accept=".mcap" aria-label="A bundle of your own" onChange={(event) => take(event.currentTarget.files)} />
      </label>
    </div>
  );
}

/** Every word of it stands in something that is known of the session. */
export function matches(wanted: string, { name, sealedAtMs }: Bundle, head: HeadOf | undefined, verdict: string): boolean {
  const date = (ms: number | undefined) => (ms === undefined ? "" : new Date(ms).toISOString());
  const said = head?.is === "read" ? [head.head.session, date(head.head.openedMs), ...head.head.people.flatMap(({ role, pseudonym }) => [role, pseudonym])] : [];
  const known = [name, verdict, date(sealedAtMs), ...said].join(" ").toLowerCase();
  return wanted.toLowerCase().split(/\s+/).every((word) => known.includes(word));
}
