//! Bodies that other implementations made, opened with a browser's keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::ciphers::BrowserKeys;

fn opened(keys: &BrowserKeys, body: &str) -> Result<String, String> {
    let bytes = keys.open(&URL_SAFE_NO_PAD.decode(body).unwrap())?;
    Ok(String::from_utf8(bytes).unwrap())
}

/// Made once by `http_ece.encrypt(…, version="aes128gcm")` of PyPI's http-ece 1.2, which is written in Python upon OpenSSL.
#[test]
fn opens_what_http_ece_made() {
    let keys = BrowserKeys::of(
        "dWAEMmSsqrG9Pj0nah5CJSkKqyg8kJi8jccx3jVe8T8",
        "BA44Zn8BUj3V4g7rd6xI42D8HgG7kLkDWMwgfAPWMj9TJPWrhjMbZsLwKBJYguzfYG3xlLWcFkE3AaPnE-71-dk",
        "JmSZIGSQsuUUr96weK4gjA",
    );
    let tap = "hvCSYECnfBnrIIajMgw8GQAAEABBBAnbK1paCjmpD-b7iP1_QDwSIQtqyByksR4oxqNGrnOuQn4R8gkpdQt3DX4fqhzvVu8qsK_yUiMidlTtFM8CAx-N8XICU3h-BH_sSHoepr8Ih1mFWCKOEL8_sr5XbDKzCpFt-wo_GRRY7914ezi_cH1w3Ec9ah4lcMHGNgzEnuTq50-EQfc";
    let words = "YSU9lyBrRUMpIG972kXeswAAEABBBB4FyCyFeOcb6KUpwwKHW_Ctl0JcSO2jfv14g-qItdCDMHWg9Kn2mWEWNA7UKUaoPHXMA8iNlWQEg9kqUSCqNE0m33phoic46cIjjbkL3YmL52opDc6fIB53Q67iymMjaQ";
    assert_eq!(
        opened(&keys, tap).as_deref(),
        Ok(r#"{"beckon":{"v":1,"k":"created","n":"n-1","e":"e-1"}}"#)
    );
    assert_eq!(opened(&keys, words).as_deref(), Ok("Grüße, 世界"));
    let broken = tap.replace("EQfc", "AQfc");
    assert!(opened(&keys, &broken).is_err());
}

/// The example of RFC 8291, section 5.
#[test]
fn opens_the_watermelon() {
    let keys = BrowserKeys::of(
        "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
    );
    let body = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
    assert_eq!(
        opened(&keys, body).as_deref(),
        Ok("When I grow up, I want to be a watermelon")
    );
}
