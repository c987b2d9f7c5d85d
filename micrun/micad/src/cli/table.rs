//! Columns of text, as wide as they have to be.

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) align: Align,
}

/// Where a value stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A column of words.
pub(super) const fn words(title: &'static str) -> Column {
    Column { title, align: Align::Left }
}

/// A column of numbers.
pub(super) const fn numbers(title: &'static str) -> Column {
    Column { title, align: Align::Right }
}

/// The lines of a table, its titles first.
pub(super) fn lines<const N: usize>(columns: &[Column; N], rows: &[[String; N]]) -> Vec<String> {
    let widths: [usize; N] = std::array::from_fn(|index| {
        let cells = rows.iter().map(|row| row[index].chars().count());
        cells.chain([columns[index].title.len()]).max().unwrap_or_default()
    });
    let line = |cells: [&str; N]| {
        let padded =
            cells.iter().zip(columns).zip(widths).map(|((cell, column), width)| match column.align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let titles = line(columns.map(|column| column.title));
    std::iter::once(titles).chain(rows.iter().map(|row| line(row.each_ref().map(String::as_str)))).collect()
}
