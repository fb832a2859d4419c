//! Names under which secrets stand.

/// The longest name that is looked at, in bytes.
pub(super) const LONGEST: usize = 64;

/// Names by themselves, in lower case and without `-` and `_`. What they name may be short.
const SHORT: &[&str] = &[
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
    "credential",
    "credentials",
    "pwd",
];

/// Endings of names. What they name may be short.
const SHORT_ENDINGS: &[&str] = &["password", "passwd", "passphrase", "secret"];

/// Names by themselves, of longer values: they are also words of prose and settings.
const LONG: &[&str] = &["token", "signature"];

/// Endings of names, of longer values.
const LONG_ENDINGS: &[&str] = &[
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "authtoken",
    "sessiontoken",
    "securitytoken",
    "bearertoken",
    "apitoken",
    "amzsignature",
    "xtoken",
];

/// Names by themselves, in the query of a URL only.
const PARAMETERS: &[&str] = &["key", "sig", "pass", "code"];

/// How long the value of this name must be to be taken for a secret; `None` where the name is no secret's.
pub(super) fn shortest_value(name: &str, is_parameter: bool) -> Option<usize> {
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let mut plain = [0; LONGEST];
    let mut length = 0;
    let letters = name.bytes().filter(|byte| !b"-_".contains(byte));
    for (place, byte) in plain.iter_mut().zip(letters) {
        *place = byte.to_ascii_lowercase();
        length += 1;
    }
    let plain = plain.get(..length)?;
    let is = |names: &[&str]| names.iter().any(|name| plain == name.as_bytes());
    let ends = |names: &[&str]| names.iter().any(|name| plain.ends_with(name.as_bytes()));
    if is(SHORT) || ends(SHORT_ENDINGS) || (is_parameter && is(PARAMETERS)) {
        Some(4)
    } else if is(LONG) || ends(LONG_ENDINGS) {
        Some(8)
    } else {
        None
    }
}

/// Whether the value under this key of a JSON object is a secret.
pub(super) fn is_secret(key: &str) -> bool {
    shortest_value(key, false).is_some()
}

/// Whether a header's value goes on after this word.
pub(super) fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "token", "digest", "apikey", "negotiate"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}
