//! What docs/SECURITY.md and docs/ASVS.md say is seen by tests that are there.

use std::{collections::BTreeSet, fs, path::Path};

fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            sources(&path, into);
        } else if name.ends_with(".rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_pages_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let pages = ["docs/SECURITY.md", "docs/ASVS.md"].map(|page| fs::read_to_string(root.join(page)).unwrap()).concat();
    let named: BTreeSet<&str> = pages.split("`test: ").skip(1).filter_map(|rest| rest.split('`').next()).collect();
    assert!(named.len() > 50, "the pages name tests: {}", named.len());
    let mut all = String::new();
    sources(root, &mut all);
    let missing: Vec<_> = named.iter().filter(|name| !all.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "no test is called {missing:?}");
}
