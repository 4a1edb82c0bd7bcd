//! Files whose rows become records, uploaded for each resource.

use std::sync::Arc;

use domain::{
    Error,
    entities::ImportId,
    files as kept,
    resource::{
        Resource,
        import::{self, Import, NewImport, Reading},
    },
};
use jobs::Ledger;
use object_store::{ObjectStore, path::Path as Key};
use poem_openapi::{ApiResponse, Multipart, OpenApi, payload::Json, types::multipart::Upload};

use crate::{files, guard::Caller, problem::Answer};

/// The upload of a file for one resource.
pub(super) struct Imports {
    pub(super) ledger: Ledger,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) resource: &'static Resource,
}

/// A file whose rows become records.
#[derive(Multipart)]
struct NewFile {
    /// A CSV file or an Excel workbook; up to 500 MB. What it is, is told from what is in it.
    file: Upload,
    /// In which encoding its texts are, such as `windows-1252`; left out: what they look like.
    #[oai(validator(max_length = 40))]
    encoding: Option<String>,
    /// What is between its cells: `,`, `;`, `|` or `tab`; left out: what it looks like.
    #[oai(validator(max_length = 3))]
    delimiter: Option<String>,
    /// Which sheet of a workbook; left out: the first.
    #[oai(validator(max_length = 200))]
    sheet: Option<String>,
    /// The import whose rows that could not be taken are in this file, mended: it is made of it what was made of that one.
    fixes: Option<ImportId>,
}

#[derive(ApiResponse)]
enum Uploaded {
    /// What is in the file, and what SOMO suggests to make of it. Nothing is written before it is started.
    #[oai(status = 201)]
    Uploaded(Json<Import>),
}

#[OpenApi]
impl Imports {
    /// Upload a file whose rows become {many}.
    ///
    /// All of it is read, and nothing written: the answer says what is in it and which column could become which field. Then
    /// POST /api/imports/{id}/preview shows what would become of its first rows, and POST /api/imports/{id}/start begins.
    #[oai(path = "/import", method = "post", operation_id = "import")]
    async fn import(&self, caller: Caller, form: NewFile) -> Answer<Uploaded> {
        let (scope, NewFile { file, encoding, delimiter, sheet, fixes }) = (caller.scope(), form);
        let id = ImportId::new();
        let named = file.file_name().map(|name| name.chars().filter(|c| !c.is_control()).take(200).collect());
        let file_name = named.filter(|name: &String| !name.is_empty()).unwrap_or_else(|| id.to_string());
        let key = import::storage_key(scope.tenant, id);
        let (size, sha256) = files::keep(&self.store, Key::from(key.clone()), file).await.map_err(Error::Internal)?;
        let added = async {
            let copy = kept::at_hand(&*self.store, &key).await?.ok_or_else(|| anyhow::anyhow!("a file that was just kept is there"))?;
            let reading = Reading { encoding, delimiter, sheet };
            let look = tokio::task::spawn_blocking(move || import::look(copy.path(), &reading));
            let shape = look.await.map_err(anyhow::Error::from)??;
            import::add(&self.ledger, &scope, self.resource, NewImport { id, file_name, size, sha256, fixes }, shape).await
        };
        match added.await {
            Ok(import) => Ok(Uploaded::Uploaded(Json(import))),
            Err(error) => {
                files::discard(&self.store, &Key::from(key)).await;
                Err(error.into())
            }
        }
    }
}
