//! HTML as it is written.
//!
//! Invariant (global): **what is not a literal of this program is escaped.** Markup is `&'static str`, so that nothing out
//! of a bundle can be markup; everything else goes through [`Page::text`].

use std::{
    fmt::{Display, Write as _},
    io::{self, Write},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::words::plain;

/// Bytes that are encoded at once; a multiple of three, so that nothing is padded in the middle.
const BASE64_PIECE: usize = 48 * 1024;

/// A page on its way out.
#[derive(Debug)]
pub(crate) struct Page<W> {
    out: W,
    scratch: String,
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    /// To the right, in one line.
    Number(String),
    /// Hashes and keys: may break anywhere.
    Code(String),
    /// Times: in one line.
    Time(String),
    /// A few words, such as somebody's name and key: a column that is not made narrow.
    Wide(String),
}

impl<W: Write> Page<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, scratch: String::new() }
    }

    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    /// Markup of ours.
    pub(crate) fn html(&mut self, markup: &'static str) -> io::Result<&mut Self> {
        self.out.write_all(markup.as_bytes())?;
        Ok(self)
    }

    /// Anybody's text, escaped for an element and for an attribute in quotes.
    pub(crate) fn text(&mut self, text: impl Display) -> io::Result<&mut Self> {
        self.scratch.clear();
        // Writing into a string does not fail.
        let _ = write!(self.scratch, "{text}");
        self.out.write_all(escaped(&plain(&self.scratch)).as_bytes())?;
        Ok(self)
    }

    /// Bytes, for a data URI.
    pub(crate) fn base64(&mut self, bytes: &[u8]) -> io::Result<&mut Self> {
        for piece in bytes.chunks(BASE64_PIECE) {
            self.out.write_all(STANDARD.encode(piece).as_bytes())?;
        }
        Ok(self)
    }

    pub(crate) fn paragraph(&mut self, text: impl Display) -> io::Result<()> {
        self.html("<p>")?.text(text)?.html("</p>\n").map(drop)
    }

    pub(crate) fn heading(&mut self, title: &'static str) -> io::Result<()> {
        self.html("<h2>")?.html(title)?.html("</h2>\n").map(drop)
    }

    /// Name and value, line by line.
    pub(crate) fn pairs<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, Cell)>) -> io::Result<()> {
        self.list("<dl>\n", pairs)
    }

    /// The same where values are short, and names are not.
    pub(crate) fn counts<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, Cell)>) -> io::Result<()> {
        self.list("<dl class=\"counts\">\n", pairs)
    }

    fn list<'a>(
        &mut self,
        begin: &'static str,
        pairs: impl IntoIterator<Item = (&'a str, Cell)>,
    ) -> io::Result<()> {
        self.html(begin)?;
        for (name, value) in pairs {
            self.html("<div><dt>")?.text(name)?.html("</dt><dd")?;
            self.inside(&value)?.html("</dd></div>\n")?;
        }
        self.html("</dl>\n").map(drop)
    }

    pub(crate) fn table(
        &mut self,
        heads: &[&'static str],
        rows: impl IntoIterator<Item = Vec<Cell>>,
    ) -> io::Result<()> {
        let mut rows = rows.into_iter().peekable();
        let first = rows.peek().cloned().unwrap_or_default();
        self.html("<table><thead><tr>")?;
        for (index, head) in heads.iter().enumerate() {
            let is_number = matches!(first.get(index), Some(Cell::Number(_)));
            self.html(if is_number { "<th scope=\"col\" class=\"number\">" } else { "<th scope=\"col\">" })?;
            self.html(head)?.html("</th>")?;
        }
        self.html("</tr></thead><tbody>\n")?;
        rows.try_for_each(|row| self.row(&row))?;
        self.html("</tbody></table>\n").map(drop)
    }

    fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.html("<tr>")?;
        for cell in cells {
            self.html("<td")?.inside(cell)?.html("</td>")?;
        }
        self.html("</tr>\n").map(drop)
    }

    /// The rest of an opening tag, and the text behind it.
    fn inside(&mut self, cell: &Cell) -> io::Result<&mut Self> {
        let (class, text) = match cell {
            Cell::Text(text) => (">", text),
            Cell::Number(text) => (" class=\"number\">", text),
            Cell::Code(text) => (" class=\"code\">", text),
            Cell::Time(text) => (" class=\"time\">", text),
            Cell::Wide(text) => (" class=\"wide\">", text),
        };
        self.html(class)?.text(text)
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: text can't end an element or an attribute, move the cursor or turn words around; bytes can be had back.
    #[test]
    fn text_stays_text() {
        let mut page = Page::new(Vec::new());
        page.text("</td><script>alert('1')</script>\" & \u{202e}x\u{0}").unwrap();
        let text = String::from_utf8(page.into_inner()).unwrap();
        assert!(!text.contains(['<', '>', '"', '\'', '\u{202e}', '\u{0}']), "{text}");
        assert!(text.contains("&lt;script&gt;") && text.contains("&amp;"), "{text}");
        let bytes: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        let mut page = Page::new(Vec::new());
        page.base64(&bytes).unwrap();
        assert_eq!(STANDARD.decode(page.into_inner()).unwrap(), bytes);
    }
}
