/** One box of the engineer's page. */
import { type ComponentChildren } from "preact";

export function Panel({ title, children, note }: { readonly title: string; readonly note?: string; readonly children: ComponentChildren }) {
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      {note && <p class="quiet">{note}</p>}
      {children}
    </section>
  );
}
