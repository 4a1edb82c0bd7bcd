//! Which column becomes which field, by what it is called and what is in it: as people call such columns, in English and
//! Portuguese, and as other CRMs and address books export them.

use super::{
    file::FileColumn,
    plan::{FULL_NAME, ImportColumn},
};
use crate::resource::{
    Action, Resource,
    custom::{self, Customs},
    field::{Field, Form, Kind},
    value::{self, fold},
};

/// Field, kind, and what such columns are called, in the form of [`plain`].
const NAMES: &[(&str, Option<&str>, &[&str])] = &[
    ("id", None, &["id", "record id", "somo id"]),
    ("first_name", None, &["first name", "given name", "firstname", "nome", "primeiro nome", "name"]),
    ("last_name", None, &["last name", "family name", "lastname", "surname", "sobrenome", "ultimo nome"]),
    (FULL_NAME, None, &["full name", "nome completo", "contact name", "nome do contato", "display name", "contato", "cliente"]),
    ("emails", None, &["e mail", "email", "e mails", "email address", "e mail 1 value", "correio", "e mail address", "mail"]),
    ("emails", Some("home"), &["personal email", "email pessoal", "home email"]),
    ("emails", Some("work"), &["work email", "business email", "email comercial", "email corporativo"]),
    (
        "phones",
        None,
        &["phone", "phones", "telefone", "telefones", "phone number", "phone 1 value", "fone", "tel", "numero", "contact number"],
    ),
    (
        "phones",
        Some("mobile"),
        &["mobile", "mobile phone", "celular", "whatsapp", "cell", "cell phone", "mobile phone number", "whatsapp number"],
    ),
    ("phones", Some("work"), &["work phone", "business phone", "telefone comercial", "office phone"]),
    ("phones", Some("home"), &["home phone", "telefone residencial"]),
    (
        "company_ids",
        None,
        &[
            "company",
            "companies",
            "company name",
            "empresa",
            "organization",
            "organizacao",
            "organization name",
            "account",
            "associated company",
        ],
    ),
    ("company_id", None, &["company", "company name", "empresa", "organization", "organizacao", "cliente", "account"]),
    ("contact_ids", None, &["contact", "contacts", "contato", "contatos", "person", "pessoa", "associated contact"]),
    ("job_title", None, &["job title", "title", "cargo", "position", "funcao", "role"]),
    (
        "owner_id",
        None,
        &["owner", "responsavel", "proprietario", "contact owner", "deal owner", "company owner", "vendedor", "dono", "assigned to"],
    ),
    ("source_id", None, &["source", "origem", "lead source", "fonte", "original source"]),
    ("industry_id", None, &["industry", "setor", "ramo", "segmento"]),
    ("tags", None, &["tag", "tags", "labels", "etiquetas", "label", "marcadores"]),
    ("birthday", None, &["birthday", "birth date", "date of birth", "nascimento", "data de nascimento", "aniversario"]),
    ("description", None, &["description", "notes", "note", "observacoes", "observacao", "descricao", "comments", "comentarios", "obs"]),
    ("street", None, &["street", "address", "endereco", "rua", "logradouro", "street address"]),
    ("city", None, &["city", "cidade", "municipio", "town"]),
    ("state", None, &["state", "estado", "uf", "region", "province", "state region"]),
    ("postal_code", None, &["postal code", "zip", "zip code", "cep", "postcode"]),
    ("country", None, &["country", "pais"]),
    (
        "name",
        None,
        &[
            "name",
            "nome",
            "company name",
            "empresa",
            "razao social",
            "nome fantasia",
            "deal name",
            "negocio",
            "titulo",
            "product",
            "produto",
            "product name",
            "organization",
            "deal title",
        ],
    ),
    ("title", None, &["title", "titulo", "assunto", "subject", "name", "nome"]),
    ("domain", None, &["domain", "dominio", "company domain name", "company domain"]),
    ("website", None, &["website", "site", "url", "web site", "website url", "pagina"]),
    ("email", None, &["e mail", "email", "email address"]),
    ("phone", None, &["phone", "telefone", "phone number", "celular"]),
    ("employees", None, &["employees", "number of employees", "funcionarios", "numero de funcionarios"]),
    ("revenue", None, &["revenue", "annual revenue", "faturamento", "receita"]),
    ("currency", None, &["currency", "moeda", "deal currency code"]),
    ("amount", None, &["amount", "value", "valor", "deal value", "montante"]),
    ("pipeline_id", None, &["pipeline", "funil"]),
    ("stage_id", None, &["stage", "etapa", "deal stage", "fase"]),
    ("expected_close", None, &["close date", "expected close date", "data de fechamento", "previsao de fechamento"]),
    ("sku", None, &["sku", "codigo", "code", "referencia", "product code"]),
    ("price", None, &["price", "unit price", "preco", "valor", "valor unitario"]),
];

/// The columns that can be told.
pub(super) fn columns(resource: &'static Resource, customs: &Customs, columns: &[FileColumn]) -> Vec<ImportColumn> {
    let mut mapped: Vec<ImportColumn> = Vec::new();
    for (at, column) in (0u32..).zip(columns) {
        let guessed = by_name(resource, customs, &column.name).or_else(|| by_content(resource, column));
        let Some((field, kind)) = guessed else { continue };
        // Other programs have ids too.
        let ours = |cell: &String| value::id(cell.trim()).is_some();
        if field == "id" && (column.samples.is_empty() || !column.samples.iter().all(ours)) {
            continue;
        }
        let one = resource.field(&field);
        let again = one.is_none_or(|field| !super::plan::lists(&field.kind)) && mapped.iter().any(|one| one.field == field);
        if !again {
            mapped.push(ImportColumn { column: at, field, kind: kind.map(str::to_owned) });
        }
    }
    // A given name of its own says it better; a name that is alone is a whole one.
    if mapped.iter().any(|one| one.field == "first_name") {
        mapped.retain(|one| one.field != FULL_NAME);
    }
    let alone = mapped.iter().all(|one| one.field != "last_name" && one.field != FULL_NAME);
    let whole = |one: &&mut ImportColumn| {
        one.field == "first_name"
            && columns.get(one.column as usize).is_some_and(|column| ["name", "nome"].contains(&plain(&column.name).as_str()))
    };
    if let (true, true, Some(one)) = (alone, resource.label.len() == 2, mapped.iter_mut().find(whole)) {
        one.field = FULL_NAME.to_owned();
    }
    mapped
}

/// What is before the decimals, where its numbers leave no doubt; as programs write them, a point.
pub(super) fn decimal(resource: &Resource, customs: &Customs, columns: &[FileColumn], mapped: &[ImportColumn]) -> Option<String> {
    let decimal = |field: &str| match customs.at(resource, field) {
        Some(custom) => matches!(custom.kind, Kind::Decimal { .. }),
        None => resource.field(field).is_some_and(|field| matches!(field.kind, Kind::Decimal { .. })),
    };
    let numbers = mapped.iter().filter(|one| decimal(&one.field)).filter_map(|one| columns.get(one.column as usize));
    let pointed = |cell: &String| {
        let part = cell.rsplit_once('.').map(|(_, part)| part.trim());
        !cell.contains(',') && part.is_some_and(|part| part.len() != 3 && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    numbers.flat_map(|column| &column.samples).any(pointed).then(|| ".".to_owned())
}

type Guess = (String, Option<&'static str>);

fn by_name(resource: &'static Resource, customs: &Customs, name: &str) -> Option<Guess> {
    let writable = |field: &str| resource.writable(Action::Create).any(|one| one.name == field && one.name != custom::FIELD);
    let (exact, said) = (name.trim(), plain(name));
    if writable(exact) || exact == "id" || customs.at(resource, exact).is_some() {
        return Some((exact.to_owned(), None));
    }
    let own = resource.writable(Action::Create).find(|field| field.name != custom::FIELD && plain(field.name) == said);
    if let Some(field) = own {
        return Some((field.name.to_owned(), None));
    }
    if let Some(custom) = customs.on(resource).iter().find(|custom| plain(&custom.name) == said || plain(&custom.key) == said) {
        return Some((custom.path(), None));
    }
    let takes = |field: &str| field == "id" || writable(field) || field == FULL_NAME && resource.label.len() == 2;
    // "Phone 2" is another phone.
    let bare = said.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let known = |said: &str| NAMES.iter().find(|(field, _, names)| takes(field) && names.contains(&said));
    known(&said).or_else(|| known(bare)).map(|(field, kind, _)| ((*field).to_owned(), *kind))
}

/// By what its cells look like, where they all look alike.
fn by_content(resource: &'static Resource, column: &FileColumn) -> Option<Guess> {
    let cells: Vec<&str> = column.samples.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty()).collect();
    if cells.len() < 2 {
        return None;
    }
    let about = |field: &Field, wanted: Form| match &field.kind {
        Kind::Rows(rows) => matches!(rows.fields[0].kind, Kind::Text { form, .. } if form == wanted),
        Kind::Text { form, .. } => *form == wanted,
        _ => false,
    };
    let field = |form| resource.writable(Action::Create).find(|field| about(field, form)).map(|field| (field.name.to_owned(), None));
    if cells.iter().all(|cell| cell.contains('@') && cell.contains('.') && !cell.contains(' ')) {
        return field(Form::Email);
    }
    let number = |cell: &&str| {
        let digits = cell.bytes().filter(u8::is_ascii_digit).count();
        (10..=15).contains(&digits) && cell.starts_with(['+', '(']) && cell.chars().all(|c| c.is_ascii_digit() || " -.()+".contains(c))
    };
    if cells.iter().all(number) { field(Form::Phone) } else { None }
}

/// A name without case, accents and signs.
fn plain(name: &str) -> String {
    let folded = fold(name);
    folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::registry;

    fn guessed(topic: &str, names: &[&str]) -> Vec<String> {
        let column = |name: &&str| FileColumn { name: (*name).to_owned(), samples: Vec::new() };
        let columns = columns(registry::named(topic), &Customs::default(), &names.iter().map(column).collect::<Vec<_>>());
        columns
            .into_iter()
            .map(|one| format!("{}={}{}", one.column, one.field, one.kind.map_or_else(String::new, |kind| format!("/{kind}"))))
            .collect()
    }

    #[test]
    fn columns_are_told_by_their_names() {
        let portuguese = ["Nome", "Sobrenome", "E-mail", "Celular", "Telefone 2", "Empresa", "Responsável", "CEP", "Nº do pedido"];
        let expected =
            ["0=first_name", "1=last_name", "2=emails", "3=phones/mobile", "4=phones", "5=company_ids", "6=owner_id", "7=postal_code"];
        assert_eq!(guessed("contacts", &portuguese), expected);
        assert_eq!(guessed("contacts", &["Name", "Email Address"]), ["0=full_name", "1=emails"]);
        assert_eq!(guessed("contacts", &["Full Name", "First Name", "Last Name"]), ["1=first_name", "2=last_name"]);
        assert_eq!(guessed("companies", &["Company name", "Company Domain Name", "Phone Number"]), ["0=name", "1=domain", "2=phone"]);
        assert_eq!(guessed("contacts", &["origin", "created_at", "custom"]), Vec::<String>::new());
    }

    #[test]
    fn columns_without_a_name_are_told_by_what_is_in_them() {
        let column =
            |samples: &[&str]| FileColumn { name: "Column 1".into(), samples: samples.iter().map(|&cell| cell.to_owned()).collect() };
        let told = |samples: &[&str]| {
            columns(registry::named("contacts"), &Customs::default(), &[column(samples)]).into_iter().map(|one| one.field).next()
        };
        assert_eq!(told(&["ana@example.com", "bob@example.com"]).as_deref(), Some("emails"));
        assert_eq!(told(&["(11) 98765-4321", "+55 11 91234-5678"]).as_deref(), Some("phones"));
        assert_eq!(told(&["1234567890", "+55 11 91234-5678"]), None);
    }
}
