//! Which PKCS#11 modules a machine has, as p11-kit is told of them.

use std::path::{Path, PathBuf};

const TOLD_IN: [&str; 3] = ["/etc/pkcs11/modules", "/usr/share/p11-kit/modules", "/usr/lib/p11-kit/modules"];
const MODULES_IN: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11",
    "/usr/lib/aarch64-linux-gnu/pkcs11",
    "/usr/lib64/pkcs11",
    "/usr/lib/pkcs11",
    "/usr/local/lib/pkcs11",
];

/// The files of all modules, each once. An administrator's own come first.
pub fn installed() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in TOLD_IN {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let mut told: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        told.sort();
        for file in told.iter().filter(|path| path.extension().is_some_and(|end| end == "module")) {
            let Ok(text) = std::fs::read_to_string(file) else { continue };
            let path = named(&text).and_then(|name| place(&name)).and_then(|path| path.canonicalize().ok());
            // The authorities that p11-kit itself keeps are no card.
            let is_trust = |path: &PathBuf| path.file_name().is_some_and(|name| name == "p11-kit-trust.so");
            if let Some(path) = path.filter(|path| !found.contains(path) && !is_trust(path)) {
                found.push(path);
            }
        }
    }
    found
}

/// The module that one of p11-kit's files names.
fn named(text: &str) -> Option<PathBuf> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let mut modules = fields.filter(|(name, _)| name.trim() == "module").map(|(_, value)| value.trim());
    modules.next().filter(|name| !name.is_empty()).map(PathBuf::from)
}

fn place(name: &Path) -> Option<PathBuf> {
    if name.is_absolute() {
        return name.exists().then(|| name.to_owned());
    }
    MODULES_IN.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_read_out_of_what_p11_kit_is_told() {
        let text =
            "# See: http://p11-glue.freedesktop.org\nremote: |x\nmodule: /usr/lib/card.so \ncritical: no\n";
        assert_eq!(named(text), Some("/usr/lib/card.so".into()));
        for nothing in ["", "module:", "# module: x.so\n", "modules: x.so"] {
            assert_eq!(named(nothing), None, "{nothing:?}");
        }
        assert_eq!(place(Path::new("/no/such/module.so")), None);
    }
}
