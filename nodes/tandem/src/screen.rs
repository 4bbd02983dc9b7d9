//! Tables and texts that fit the terminal.

use std::io::IsTerminal;

/// Columns of the terminal; `COLUMNS` where standard output is none, else 120.
pub fn width() -> usize {
    let from_terminal = || std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    let from_environment = || std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    from_terminal().map(|(width, _)| usize::from(width.0)).or_else(from_environment).unwrap_or(120).max(20)
}

/// A table as text: columns as wide as what stands in them, the widest ones cut where the line would be too long.
pub fn table(headings: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.chars().count()).collect();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(cell.chars().count());
        }
    }
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let (widest, most) = widths.iter().copied().enumerate().max_by_key(|(_, width)| *width).unwrap_or_default();
        if most <= CELL_MIN {
            break;
        }
        widths[widest] = most - 1;
    }
    let mut text = line(headings.iter().map(|heading| (*heading).to_owned()), &widths);
    for row in rows {
        text.push_str(&line(row.iter().cloned(), &widths));
    }
    text
}

/// Blanks between columns.
const GAP: usize = 2;

/// Narrowest a column is cut to.
const CELL_MIN: usize = 6;

fn line(cells: impl Iterator<Item = String>, widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.zip(widths) {
        let cell = cut(&cell, *width);
        let pad = width.saturating_sub(cell.chars().count()) + GAP;
        text.push_str(&cell);
        text.extend(std::iter::repeat_n(' ', pad));
    }
    format!("{}\n", text.trim_end())
}

/// The text, or as much of it as fits, with an ellipsis.
pub fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect(),
        false => text.to_owned(),
    }
}

/// Seconds as people read them: `45 s`, `3:07 min`, `2:05:09 h`, `3 d 04 h`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}:{:02}:{:02} h", seconds / 3600, seconds / 60 % 60, seconds % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests;
