/// Reads a struct from a row, each field from the column of its name. By hand, since sqlx's macros would have the drivers and
/// SQLite compiled once more for the compiler's own use.
macro_rules! row {
    ($name:ident { $($field:ident),* }) => {
        impl<'row> sqlx::FromRow<'row, sqlx::any::AnyRow> for $name {
            fn from_row(row: &'row sqlx::any::AnyRow) -> sqlx::Result<Self> {
                Ok($name { $($field: sqlx::Row::try_get(row, stringify!($field))?),* })
            }
        }
    };
}
