//! The schema's steps, in the binary. None is ever changed once a database may have taken it.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

const STEPS: &[(i64, &str, &str)] = &[
    (1, "people", include_str!("migrations/0001_people.sql")),
    (2, "sessions", include_str!("migrations/0002_sessions.sql")),
    (4, "identities", include_str!("migrations/0004_identities.sql")),
    (5, "availability", include_str!("migrations/0005_availability.sql")),
    (6, "seats", include_str!("migrations/0006_seats.sql")),
    (7, "hosts", include_str!("migrations/0007_hosts.sql")),
    (11, "seat uses", include_str!("migrations/0011_seat_uses.sql")),
    (12, "credentials", include_str!("migrations/0012_credentials.sql")),
    (13, "remote hosts", include_str!("migrations/0013_remote_hosts.sql")),
    (14, "gateways", include_str!("migrations/0014_gateways.sql")),
    (16, "sites", include_str!("migrations/0016_sites.sql")),
    (18, "gateway views", include_str!("migrations/0018_gateway_views.sql")),
    (19, "started sessions", include_str!("migrations/0019_started_sessions.sql")),
    (20, "gateway offers", include_str!("migrations/0020_gateway_offers.sql")),
];

pub(super) fn migrator() -> Migrator {
    let step = |&(version, name, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().map(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_in_the_folder_is_in_the_binary_under_its_number() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let names =
            STEPS.iter().map(|(version, name, _)| format!("{version:04}_{}.sql", name.replace(' ', "_")));
        assert_eq!(files, names.collect::<Vec<_>>());
    }
}
