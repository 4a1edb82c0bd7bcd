/// Why a file, or a row of it, can't be read: what is wrong, said of the file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is something else.
    #[error("is {what}, not a table; save it as CSV or as an Excel workbook (.xlsx)")]
    NotATable {
        /// What it looks like.
        what: &'static str,
    },
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// Nobody knows this encoding.
    #[error("can't be read as \"{name}\"; name an encoding such as UTF-8, UTF-16LE or windows-1252")]
    UnknownEncoding {
        /// As it was asked for.
        name: String,
    },
    /// A workbook has no such sheet.
    #[error("has no sheet \"{name}\"; its sheets are {known}")]
    NoSuchSheet {
        /// As it was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// More columns than anybody has.
    #[error("has more than {most} columns")]
    TooManyColumns {
        /// So many may be.
        most: usize,
    },
    /// More rows than are taken at once.
    #[error("has more than {most} rows; split it")]
    TooManyRows {
        /// So many may be.
        most: u64,
    },
    /// A cell that is no cell.
    #[error("has a cell of more than {most} characters in line {line}; is a quotation mark never closed?")]
    CellTooLong {
        /// Where its row begins.
        line: u64,
        /// So many may be.
        most: usize,
    },
    /// A row has more cells than there are columns.
    #[error("has {} cells where the first row names {columns} columns; put cells with the delimiter in them between quotation marks", .cells.len())]
    TooManyCells {
        /// Where it begins.
        line: u64,
        /// What it has.
        cells: Vec<String>,
        /// How many there are.
        columns: usize,
    },
    /// A row with bytes that the encoding doesn't have.
    #[error("has letters that are not in the file's encoding; upload the file again and name its encoding")]
    Garbled {
        /// Where it begins.
        line: u64,
    },
    /// A workbook that unpacks to more than anybody would send.
    #[error("unpacks to far more than its size; it is refused as a bomb")]
    Bomb,
    /// A workbook that can't be read.
    #[error("is a workbook that can't be read: {why}; open it and save it again")]
    Broken {
        /// What is wrong with it.
        why: String,
    },
    /// The disk's.
    #[error("could not be read: {0}")]
    Io(#[from] std::io::Error),
    /// What is written can't be.
    #[error("could not be written: {0}")]
    NotWritten(String),
}

impl Fault {
    /// Stable, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotATable { .. } => "not_a_table",
            Self::Empty => "empty",
            Self::UnknownEncoding { .. } => "unknown_encoding",
            Self::NoSuchSheet { .. } => "no_such_sheet",
            Self::TooManyColumns { .. } => "too_many_columns",
            Self::TooManyRows { .. } => "too_many_rows",
            Self::CellTooLong { .. } => "cell_too_long",
            Self::TooManyCells { .. } => "too_many_cells",
            Self::Garbled { .. } => "garbled",
            Self::Bomb => "bomb",
            Self::Broken { .. } => "broken",
            Self::Io(_) | Self::NotWritten(_) => "unreadable",
        }
    }

    /// Whether it is only one row's: those after it can be read.
    #[must_use]
    pub fn is_of_row(&self) -> bool {
        matches!(self, Self::TooManyCells { .. } | Self::Garbled { .. })
    }

    /// The line that it is about.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::CellTooLong { line, .. } | Self::TooManyCells { line, .. } | Self::Garbled { line } => Some(*line),
            _ => None,
        }
    }
}
