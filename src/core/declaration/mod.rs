//! stub
/// r
pub fn render_user_data(data: &crate::desired::UserData, slot: u32, zone: &str) -> Result<Vec<u8>, String> {
    Ok(format!("{}{slot}{zone}", data.template).into_bytes())
}
