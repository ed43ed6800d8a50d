// Digests: SHA-256.
//
// Objects of the bank, content identities, random streams and the audit chain are all named by SHA-256 values. This is
// the only module that imports Crypto, so that the rest of the program does not depend on where hashing comes from.
//
// `SHA256Digest` is a value of 32 bytes, `SHA256Hasher` makes one piece by piece.
