// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Limits} from "./Limits.sol";

/// @title What a blob holds, shown against its versioned hash
/// @notice A blob is a polynomial p of degree below 4096 over the BLS12-381 scalar field, given by its values at the 4096th
/// roots of unity in bit-reversed order. The point-evaluation precompile (EIP-4844) shows p(z) = y for one z.
///
/// Data lie in a blob as elements of 31 bytes below a zero top byte, in order, then zeros: any bytes have exactly one such blob.
/// `requireData` evaluates the polynomial of given data at z = keccak256(versioned hash ‖ data) mod r and has the same value
/// shown for the blob. Two different polynomials agree at 4095 of 2^254 points at most, and z is fixed by hash and data
/// together: nobody finds data other than the blob's that pass.
library BlobOpening {
    /// @notice The precompile does not confirm the opening: wrong data, commitment or proof.
    error OpeningRefused();
    error GasTooLow(uint256 gas);
    error IndexOutOfRange(uint256 index);
    error ValueNotCanonical();

    /// @notice Order of the scalar field.
    uint256 internal constant MODULUS = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    /// @dev A primitive 4096th root of unity, 7^((r - 1) / 4096), and its inverse.
    uint256 private constant ROOT = 0x564c0a11a0f704f4fc3e8acfe0f8245f0ad1347b378fbf96e206da11a5d36306;
    uint256 private constant ROOT_INVERSE = 0x391b2856c609b4784ae25ffab9dc59865046d17864183203961a252dd8543362;
    /// @dev 1 / 4096.
    uint256 private constant SIZE_INVERSE = 0x73e66878b46ae3705eb6a46a89213de7d3686828bfce5c19400fffff00100001;
    uint256 private constant LEVELS = 12;
    uint256 private constant SIZE = 4096;
    uint256 private constant ELEMENT_BYTES = 31;

    address private constant POINT_EVALUATION = address(0x0a);
    uint256 private constant POINT_EVALUATION_GAS = 50_000;
    /// @dev What is needed around the call, generously.
    uint256 private constant GAS_MARGIN = 5_000;

    /// @notice Reverts unless the blob of `versionedHash` holds exactly `data`.
    /// @dev Bounds: `data` fits the blob; the batch chain checks its length.
    function requireData(bytes32 versionedHash, bytes calldata data, bytes calldata commitment, bytes calldata proof)
        internal
        view
    {
        uint256 z = challengePoint(versionedHash, data);
        requireOpening(versionedHash, z, evaluate(data, z), commitment, proof);
    }

    /// @notice Reverts unless the blob of `versionedHash` has `value` as its element at `index`.
    function requireElement(
        bytes32 versionedHash,
        uint256 index,
        uint256 value,
        bytes calldata commitment,
        bytes calldata proof
    ) internal view {
        if (index >= SIZE) revert IndexOutOfRange(index);
        requireOpening(versionedHash, rootAt(index), value, commitment, proof);
    }

    /// @notice Whether an element is not what data of `dataLength` bytes have at `index`, whatever the data: its top byte is not
    /// zero, or a byte beyond the data's end is not.
    function isForeign(uint256 index, uint256 value, uint256 dataLength) internal pure returns (bool) {
        if (value >> (8 * ELEMENT_BYTES) != 0) return true;
        uint256 start = index * ELEMENT_BYTES;
        uint256 held = dataLength <= start ? 0 : dataLength - start;
        if (held >= ELEMENT_BYTES) return false;
        return value % 2 ** (8 * (ELEMENT_BYTES - held)) != 0;
    }

    /// @notice keccak256(versioned hash ‖ data) mod r.
    function challengePoint(bytes32 versionedHash, bytes calldata data) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            // Scratch beyond the free pointer: the elements take its place afterwards.
            let scratch := mload(0x40)
            mstore(scratch, versionedHash)
            calldatacopy(add(scratch, 32), data.offset, data.length)
            z := mod(keccak256(scratch, add(32, data.length)), MODULUS)
        }
    }

    /// @notice Value at z of the polynomial of `data`.
    /// @dev In bit-reversed order elements 2j and 2j + 1 are the values at x and −x, x = ω^rev(j). With p = e(x²) + x·o(x²),
    /// 2·(e + z·o)(x²) = (p(x) + p(−x)) + z·x⁻¹·(p(x) − p(−x)): values of a polynomial of half the size at the squares, again in
    /// bit-reversed order and with the first half of the same x⁻¹. Twelve times, z squared each time, leave 4096·p(z). No
    /// division, and no z is special. Elements beyond the data are zero and stay so: work and memory follow the data.
    function evaluate(bytes calldata data, uint256 z) internal pure returns (uint256 y) {
        uint256 count = (data.length + ELEMENT_BYTES - 1) / ELEMENT_BYTES;
        if (count > SIZE) revert IndexOutOfRange(count);
        uint256 values = _load(data, count);
        uint256 inverses = _inverses((count + 1) / 2);
        for (uint256 level = 0; level < LEVELS; ++level) {
            count = (count + 1) / 2;
            _halve(values, inverses, count, z);
            z = mulmod(z, z, MODULUS);
        }
        assembly ("memory-safe") {
            y := mulmod(mload(values), SIZE_INVERSE, MODULUS)
        }
    }

    /// @dev Memory address of `count` elements and at least two more words, which are zero.
    function _load(bytes calldata data, uint256 count) private pure returns (uint256 values) {
        assembly ("memory-safe") {
            values := mload(0x40)
            let end := add(values, mul(32, count))
            let source := data.offset
            for { let at := values } lt(at, end) { at := add(at, 32) } {
                mstore(at, shr(8, calldataload(source)))
                source := add(source, 31)
            }
            // What the last load read beyond the data.
            let excess := sub(mul(31, count), data.length)
            if count {
                let last := sub(end, 32)
                mstore(last, shl(mul(8, excess), shr(mul(8, excess), mload(last))))
            }
            mstore(end, 0)
            mstore(add(end, 32), 0)
            mstore(0x40, add(end, 64))
        }
    }

    /// @dev Memory address of ω^−rev(j) for j < count, rev over 11 bits: entry j + 2^m is entry j times ω^−2^(10 − m).
    function _inverses(uint256 count) private pure returns (uint256 inverses) {
        assembly ("memory-safe") {
            inverses := mload(0x40)
            mstore(inverses, 1)
            let end := add(inverses, mul(32, count))
            for {
                let width := 32
                let exponent := 1024
            } lt(add(inverses, width), end) {} {
                let factor := ROOT_INVERSE
                for { let e := exponent } gt(e, 1) { e := shr(1, e) } { factor := mulmod(factor, factor, MODULUS) }
                let last := add(inverses, mul(2, width))
                if gt(last, end) { last := end }
                for { let at := add(inverses, width) } lt(at, last) { at := add(at, 32) } {
                    mstore(at, mulmod(mload(sub(at, width)), factor, MODULUS))
                }
                width := mul(2, width)
                exponent := shr(1, exponent)
            }
            // Also for no entries: the first is written.
            if lt(end, add(inverses, 32)) { end := add(inverses, 32) }
            mstore(0x40, end)
        }
    }

    /// @dev Values are below the modulus but for elements just loaded, which are below 2^248: sums are reduced by addmod.
    function _halve(uint256 values, uint256 inverses, uint256 pairs, uint256 z) private pure {
        assembly ("memory-safe") {
            let source := values
            let end := add(values, mul(32, pairs))
            for { let at := values } lt(at, end) { at := add(at, 32) } {
                let left := mload(source)
                let right := mload(add(source, 32))
                let difference := addmod(left, sub(MODULUS, right), MODULUS)
                let odd := mulmod(mulmod(z, mload(inverses), MODULUS), difference, MODULUS)
                mstore(at, addmod(addmod(left, right, MODULUS), odd, MODULUS))
                source := add(source, 64)
                inverses := add(inverses, 32)
            }
            // The pair of an odd last value at the next level.
            mstore(end, 0)
        }
    }

    /// @notice The point whose value is element `index`.
    function rootAt(uint256 index) internal pure returns (uint256 x) {
        x = 1;
        uint256 factor = ROOT;
        // Bit i of the reversed index is bit 11 − i of the index.
        for (uint256 bit = LEVELS; bit > 0; --bit) {
            if ((index >> (bit - 1)) & 1 == 1) x = mulmod(x, factor, MODULUS);
            factor = mulmod(factor, factor, MODULUS);
        }
    }

    /// @notice Reverts unless the precompile shows p(z) = y for the blob of `versionedHash`.
    /// @dev The precompile takes all gas that it is given when it refuses, and less gas than it needs looks like a refusal: both
    /// revert here, neither is a verdict.
    function requireOpening(
        bytes32 versionedHash,
        uint256 z,
        uint256 y,
        bytes calldata commitment,
        bytes calldata proof
    ) internal view {
        if (y >= MODULUS) revert ValueNotCanonical();
        uint256 needed = (POINT_EVALUATION_GAS * 64) / 63 + GAS_MARGIN;
        if (gasleft() < needed) revert GasTooLow(gasleft());
        (bool success, bytes memory answer) = POINT_EVALUATION.staticcall{gas: POINT_EVALUATION_GAS}(
            abi.encodePacked(versionedHash, z, y, commitment, proof)
        );
        // 4096 and the modulus, so that a chain without the precompile, or with another one there, proves nothing.
        bool isShown = success && answer.length == 64;
        if (isShown) {
            (uint256 elements, uint256 modulus) = abi.decode(answer, (uint256, uint256));
            isShown = elements == Limits.BLOB_ELEMENTS && modulus == MODULUS;
        }
        if (!isShown) revert OpeningRefused();
    }
}
