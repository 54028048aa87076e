// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Lists of little-endian int64
library SignedWords {
    /// @notice `count` integers from memory at `source` to words at `target`, four from each word that is read.
    /// @dev Warning: what lies behind the last integer is read, though not used; both ranges are the caller's.
    function decode(uint256 source, uint256 count, uint256 target) internal pure {
        assembly ("memory-safe") {
            let low8 := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
            let low16 := 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff
            let low32 := 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff
            let end := add(target, shl(5, count))
            for {} lt(target, end) { source := add(source, 0x20) } {
                let word := mload(source)
                // Reverses the bytes inside each of the four integers.
                word := or(and(shr(8, word), low8), shl(8, and(word, low8)))
                word := or(and(shr(16, word), low16), shl(16, and(word, low16)))
                word := or(and(shr(32, word), low32), shl(32, and(word, low32)))
                for { let shift := 192 } 1 { shift := sub(shift, 64) } {
                    mstore(target, signextend(7, shr(shift, word)))
                    target := add(target, 0x20)
                    if iszero(and(gt(shift, 0), lt(target, end))) { break }
                }
            }
        }
    }
}
