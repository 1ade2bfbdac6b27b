//! MS-CHAP: from a password to proofs and MPPE start keys (RFC 2433, 2759, 3079)
