//! Microsoft Point-To-Point Encryption (RFC 3078): Encryptor and Decryptor
