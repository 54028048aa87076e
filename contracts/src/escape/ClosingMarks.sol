// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Closing marks: one per instrument, the first that a quorum of oracles signed
/// @notice A set is (instrument u24, mark u40)…, big-endian, instruments strictly increasing. It is signed for one anchor at
/// one moment, so nothing that was signed before the freeze counts.
library ClosingMarks {
    error MarksMalformed();

    event MarkSet(uint64 indexed round, uint24 indexed instrument, uint40 mark);

    bytes32 internal constant TYPE_HASH =
        keccak256("ClosingMarks(uint32 domain,uint64 anchor,bytes32 root,uint64 fixedAt,bytes32 content)");
    uint256 private constant ENTRY_BYTES = 8;
    uint256 private constant MARK_BITS = 40;
    uint256 private constant MARK_MASK = 2 ** MARK_BITS - 1;
    /// @dev A mark, the bit that says that it is set, and a spare one: six instruments a word.
    uint256 private constant SLOT_BITS = 42;
    uint256 private constant MARKS_PER_WORD = 6;

    /// @notice Six marks a word; neighbours share it.
    struct Store {
        mapping(uint256 word => uint256) words;
    }

    /// @notice Keeps the marks of a set that the caller has seen signed.
    function set(Store storage store, uint64 round, bytes calldata marks) internal {
        if (marks.length == 0 || marks.length % ENTRY_BYTES != 0) revert MarksMalformed();
        uint256 least = 0;
        for (uint256 i = 0; i < marks.length; i += ENTRY_BYTES) {
            uint64 entry = uint64(bytes8(marks[i:i + ENTRY_BYTES]));
            uint24 instrument = uint24(entry >> MARK_BITS);
            if (instrument < least) revert MarksMalformed();
            least = uint256(instrument) + 1;
            _setFirst(store, round, instrument, uint40(entry & MARK_MASK));
        }
    }

    /// @dev A later set says nothing about an instrument that has its mark.
    function _setFirst(Store storage store, uint64 round, uint24 instrument, uint40 mark) private {
        uint256 word = store.words[instrument / MARKS_PER_WORD];
        uint256 shift = SLOT_BITS * (instrument % MARKS_PER_WORD);
        if ((word >> (shift + MARK_BITS)) & 1 == 1) return;
        store.words[instrument / MARKS_PER_WORD] = word | ((2 ** MARK_BITS | uint256(mark)) << shift);
        emit MarkSet(round, instrument, mark);
    }

    /// @dev `instrument` < 2^24.
    function get(Store storage store, uint256 instrument) internal view returns (bool isSet, uint256 mark) {
        uint256 slot = store.words[instrument / MARKS_PER_WORD] >> (SLOT_BITS * (instrument % MARKS_PER_WORD));
        return ((slot >> MARK_BITS) & 1 == 1, slot & MARK_MASK);
    }
}
