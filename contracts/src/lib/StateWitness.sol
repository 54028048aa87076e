// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "./Cells.sol";
import {Limits} from "./Limits.sol";

/// @notice One cell of a tree, as the witness gives it and as a rule leaves it.
struct Cell {
    uint256 index;
    /// @dev Leaf before the cycle: hash of the cell's bytes, 0 for an absent cell.
    bytes32 leaf;
    /// @dev Memory address of the bytes; rules may move the cell to grow it.
    uint256 data;
    /// @dev In bytes; 0 = absent.
    uint256 length;
    /// @dev Slots of an account's order ring; empty elsewhere.
    Tree ring;
    /// @dev Scratch of the trade rule for an instrument: the account that touched it last (its place + 1), that account's
    /// net lots and sides, and the lots of the whole cycle.
    uint256 mark;
    int256 lots;
    uint256 sides;
    int256 lotsTotal;
}

/// @notice Some cells of a tree with what proves them.
struct Tree {
    Cell[] cells;
    /// @dev Calldata offset of the siblings, level by level from the leaves up, left to right.
    uint256 siblings;
    uint256 siblingCount;
}

/// @notice What a rule may see of the ledger's state.
struct State {
    Tree accounts;
    Tree instruments;
    Tree underlyings;
    Tree outbox;
    /// @dev Memory address of the globals' bytes.
    uint256 globals;
    bytes32 globalsHash;
    /// @dev Sums over the witnessed cells before the cycle.
    int256 cash;
    int256 badDebt;
    int256 clearing;
}

/// @title State witnesses: the cells that one fault needs, with one multiproof a tree
/// @notice docs/spec/witness.md is the format. Rules work on the cells in memory; `finish` computes the state root from the
/// cells as they came, which must be the one that the caller trusts, and from the cells as the rule left them.
/// @dev Warning: cells are untrusted until `finish` has compared the root: a rule's verdict counts only after it. Malformed
/// witnesses revert; nothing here depends on a cycle's payload.
library StateWitness {
    error WitnessMalformed();
    /// @notice A cell that the rule needs is not in the witness.
    error CellMissing(uint256 index);
    /// @notice The witness is of another state.
    error StateRootMismatch(bytes32 witnessed);

    uint256 private constant ACCOUNTS = 0;
    uint256 private constant INSTRUMENTS = 1;
    uint256 private constant UNDERLYINGS = 2;
    uint256 private constant OUTBOX = 3;
    uint256 private constant RING = 4;
    /// @dev index u32 ‖ length u16
    uint256 private constant CELL_HEAD_BYTES = 6;
    /// @dev cellCount u16 ‖ siblingCount u16
    uint256 private constant TREE_HEAD_BYTES = 4;

    // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    function load(bytes calldata witness) internal pure returns (State memory state) {
        uint256 offset;
        uint256 end;
        assembly ("memory-safe") {
            offset := witness.offset
            end := add(offset, witness.length)
        }
        if (witness.length < Cells.GLOBALS_BYTES) revert WitnessMalformed();
        state.globals = _copy(offset, Cells.GLOBALS_BYTES);
        state.globalsHash = _hash(state.globals, Cells.GLOBALS_BYTES);
        offset += Cells.GLOBALS_BYTES;
        (state.accounts, offset) = _tree(offset, end, ACCOUNTS);
        (state.instruments, offset) = _tree(offset, end, INSTRUMENTS);
        (state.underlyings, offset) = _tree(offset, end, UNDERLYINGS);
        (state.outbox, offset) = _tree(offset, end, OUTBOX);
        if (offset != end) revert WitnessMalformed();
        (state.cash, state.badDebt, state.clearing) = _sums(state);
    }

    function _tree(uint256 offset, uint256 end, uint256 kind) private pure returns (Tree memory tree, uint256 next) {
        unchecked {
            if (offset + TREE_HEAD_BYTES > end) revert WitnessMalformed();
            uint256 count = _u16(offset);
            tree.siblingCount = _u16(offset + 2);
            next = offset + TREE_HEAD_BYTES;
            Cell[] memory cells = new Cell[](count);
            uint256 bound = 2 ** _depth(kind);
            uint256 least = 0;
            for (uint256 i = 0; i < count; ++i) {
                Cell memory cell;
                next = _cell(cell, next, end, kind);
                // Strictly increasing, below 2^depth.
                if (cell.index < least || cell.index >= bound) revert WitnessMalformed();
                least = cell.index + 1;
                cells[i] = cell;
            }
            tree.cells = cells;
            tree.siblings = next;
            next += 32 * tree.siblingCount;
            if (next > end) revert WitnessMalformed();
        }
    }

    function _cell(Cell memory cell, uint256 offset, uint256 end, uint256 kind) private pure returns (uint256 next) {
        unchecked {
            if (offset + CELL_HEAD_BYTES > end) revert WitnessMalformed();
            uint256 head;
            assembly ("memory-safe") {
                head := shr(208, calldataload(offset))
            }
            cell.index = head >> 16;
            cell.length = head & 0xFFFF;
            next = offset + CELL_HEAD_BYTES + cell.length;
            if (next > end) revert WitnessMalformed();
            if (cell.length > 0) {
                cell.data = _copy(offset + CELL_HEAD_BYTES, cell.length);
                cell.leaf = _hash(cell.data, cell.length);
                if (!_isPossible(cell, kind)) revert WitnessMalformed();
            }
            if (kind == ACCOUNTS) {
                (cell.ring, next) = _tree(next, end, RING);
                if (cell.ring.cells.length == 0 ? cell.ring.siblingCount > 0 : cell.length == 0) {
                    revert WitnessMalformed();
                }
            }
        }
    }

    /// @dev Length and counts agree, so that no field lies outside the cell. Deeper canonical form is the ledger's own:
    /// a cell under the root of a valid state has it.
    function _isPossible(Cell memory cell, uint256 kind) private pure returns (bool) {
        unchecked {
            uint256 length = cell.length;
            if (kind == RING) return length == Cells.RING_BYTES;
            if (kind == INSTRUMENTS) return length == Cells.INSTRUMENT_BYTES;
            if (kind == OUTBOX) return length == Cells.OUTBOX_BYTES;
            if (kind == UNDERLYINGS) {
                if (length < Cells.UNDERLYING_FIXED_BYTES) return false;
                uint256 surfaces = Cells.read8(cell.data + Cells.UNDERLYING_SURFACE_COUNT);
                return surfaces <= Limits.EXPIRIES_MAX
                    && length == Cells.UNDERLYING_FIXED_BYTES + Cells.SURFACE_BYTES * surfaces;
            }
            if (length < Cells.ACCOUNT_FIXED_BYTES) return false;
            uint256 delegates = Cells.read8(cell.data + Cells.ACCOUNT_DELEGATE_COUNT);
            uint256 fixedBytes = Cells.ACCOUNT_FIXED_BYTES + Cells.DELEGATE_BYTES * delegates;
            if (delegates > Limits.DELEGATES_MAX || length < fixedBytes) return false;
            uint256 positions = Cells.positionCount(cell.data);
            return positions <= Limits.POSITIONS_MAX && length == fixedBytes + Cells.POSITION_BYTES * positions;
        }
    }

    function _depth(uint256 kind) private pure returns (uint256) {
        if (kind == ACCOUNTS) return Limits.ACCOUNT_TREE_DEPTH;
        if (kind == INSTRUMENTS) return Limits.INSTRUMENT_TREE_DEPTH;
        if (kind == UNDERLYINGS) return Limits.UNDERLYING_TREE_DEPTH;
        return kind == OUTBOX ? Limits.OUTBOX_TREE_DEPTH : Limits.RING_TREE_DEPTH;
    }

    function _u16(uint256 offset) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(240, calldataload(offset))
        }
    }

    /// @dev A spare word behind the bytes lets fields at their end be read and written as whole words.
    function _copy(uint256 from, uint256 length) private pure returns (uint256 offset) {
        offset = allocate(length);
        assembly ("memory-safe") {
            calldatacopy(offset, from, length)
        }
    }

    /// @notice Memory for `length` bytes and a spare word.
    function allocate(uint256 length) internal pure returns (uint256 offset) {
        assembly ("memory-safe") {
            offset := mload(0x40)
            mstore(0x40, and(add(add(offset, length), 63), not(31)))
        }
    }

    function _hash(uint256 offset, uint256 length) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := keccak256(offset, length)
        }
    }

    // ── access ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice The cell with that index. Reverts where the witness does not have it.
    function find(Tree memory tree, uint256 index) internal pure returns (Cell memory found) {
        bool isFound;
        // A returned struct is allocated before it is replaced: its memory goes back, or thousands of look-ups would grow
        // it. Words of the array are addresses of cells; a cell's first word is its index.
        assembly ("memory-safe") {
            mstore(0x40, found)
            let cells := mload(tree)
            let low := 0
            let high := mload(cells)
            for {} lt(low, high) {} {
                let middle := shr(1, add(low, high))
                let cell := mload(add(add(cells, 32), shl(5, middle)))
                switch lt(mload(cell), index)
                case 1 { low := add(middle, 1) }
                default {
                    high := middle
                    if eq(mload(cell), index) {
                        found := cell
                        isFound := 1
                        break
                    }
                }
            }
        }
        if (!isFound) revert CellMissing(index);
    }

    /// @notice Moves the cell to memory with room for `extra` more bytes.
    function grow(Cell memory cell, uint256 extra) internal pure {
        uint256 from = cell.data;
        uint256 length = cell.length;
        uint256 to = allocate(length + extra);
        assembly ("memory-safe") {
            mcopy(to, from, length)
        }
        cell.data = to;
    }

    /// @notice Opens `gap` bytes at `offset` inside the cell, which must have room for them.
    function insert(Cell memory cell, uint256 offset, uint256 gap) internal pure {
        uint256 rest = cell.data + cell.length - offset;
        assembly ("memory-safe") {
            mcopy(add(offset, gap), offset, rest)
        }
        cell.length += gap;
    }

    /// @notice Removes `gap` bytes at `offset`.
    function remove(Cell memory cell, uint256 offset, uint256 gap) internal pure {
        uint256 rest = cell.data + cell.length - offset - gap;
        assembly ("memory-safe") {
            mcopy(offset, add(offset, gap), rest)
        }
        cell.length -= gap;
    }

    // ── roots ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Compares the root of the state as witnessed with `preStateRoot`, sets the time and answers with the root of
    /// the state as it is now, whose totals are set.
    function finish(State memory state, bytes32 preStateRoot, uint256 timeMs) internal pure returns (bytes32) {
        Cells.write(state.globals + Cells.GLOBALS_TIME_MS, 8, timeMs);
        return verify(state, preStateRoot);
    }

    /// @notice Compares the root of the state as witnessed with `preStateRoot`; answers with the root as it is now.
    function verify(State memory state, bytes32 preStateRoot) internal pure returns (bytes32) {
        _foldRings(state.accounts);
        bytes32[5] memory before;
        bytes32[5] memory afterwards;
        (before[0], afterwards[0]) = _fold(state.accounts, Limits.ACCOUNT_TREE_DEPTH);
        (before[1], afterwards[1]) = _fold(state.instruments, Limits.INSTRUMENT_TREE_DEPTH);
        (before[2], afterwards[2]) = _fold(state.underlyings, Limits.UNDERLYING_TREE_DEPTH);
        (before[3], afterwards[3]) = _fold(state.outbox, Limits.OUTBOX_TREE_DEPTH);
        before[4] = state.globalsHash;
        afterwards[4] = _hash(state.globals, Cells.GLOBALS_BYTES);
        bytes32 witnessed;
        bytes32 root;
        assembly ("memory-safe") {
            witnessed := keccak256(before, 160)
            root := keccak256(afterwards, 160)
        }
        if (witnessed != preStateRoot) revert StateRootMismatch(witnessed);
        return root;
    }

    function _foldRings(Tree memory accounts) private pure {
        unchecked {
            for (uint256 i = 0; i < accounts.cells.length; ++i) {
                Cell memory cell = accounts.cells[i];
                if (cell.ring.cells.length == 0) continue;
                (bytes32 before, bytes32 afterwards) = _fold(cell.ring, Limits.RING_TREE_DEPTH);
                uint256 offset = Cells.tail(cell.data) + Cells.TAIL_RING_ROOT;
                // No rule writes ring roots: this is still the witnessed one.
                if (Cells.readWord(offset) != before) revert WitnessMalformed();
                Cells.writeWord(offset, afterwards);
            }
        }
    }

    /// @dev Both roots over the tree's cells in one pass. Without cells the one sibling is the root.
    function _fold(Tree memory tree, uint256 depth) private pure returns (bytes32 before, bytes32 afterwards) {
        unchecked {
            uint256 count = tree.cells.length;
            if (count == 0) {
                if (tree.siblingCount != 1) revert WitnessMalformed();
                uint256 sibling = tree.siblings;
                assembly ("memory-safe") {
                    before := calldataload(sibling)
                }
                return (before, before);
            }
            // Three words a node: index, hash before, hash after. The words are overwritten level by level.
            uint256 nodes = allocate(96 * count);
            for (uint256 i = 0; i < count; ++i) {
                Cell memory cell = tree.cells[i];
                bytes32 leaf = cell.length == 0 ? bytes32(0) : _hash(cell.data, cell.length);
                uint256 node = nodes + 96 * i;
                assembly ("memory-safe") {
                    mstore(node, mload(cell))
                    mstore(add(node, 32), mload(add(cell, 32)))
                    mstore(add(node, 64), leaf)
                }
            }
            uint256 next = tree.siblings;
            for (uint256 height = 0; height < depth; ++height) {
                (count, next) = _foldLevel(nodes, count, next);
            }
            if (next != tree.siblings + 32 * tree.siblingCount) revert WitnessMalformed();
            assembly ("memory-safe") {
                before := mload(add(nodes, 32))
                afterwards := mload(add(nodes, 64))
            }
        }
    }

    /// @dev The siblings that are read are checked against their number when all levels are done.
    function _foldLevel(uint256 nodes, uint256 count, uint256 siblings)
        private
        pure
        returns (uint256 parents, uint256 next)
    {
        assembly ("memory-safe") {
            next := siblings
            let end := add(nodes, mul(96, count))
            let to := nodes
            for { let from := nodes } lt(from, end) {} {
                let index := mload(from)
                let left := mload(add(from, 32))
                let leftNow := mload(add(from, 64))
                let right
                let rightNow
                from := add(from, 96)
                switch and(lt(from, end), eq(mload(from), or(index, 1)))
                case 1 {
                    // `from` is the sibling: the indices of a level increase strictly, so this one is even.
                    right := mload(add(from, 32))
                    rightNow := mload(add(from, 64))
                    from := add(from, 96)
                }
                default {
                    right := calldataload(next)
                    rightNow := right
                    next := add(next, 32)
                    if and(index, 1) {
                        let sibling := right
                        right := left
                        rightNow := leftNow
                        left := sibling
                        leftNow := sibling
                    }
                }
                mstore(to, shr(1, index))
                mstore(0x00, left)
                mstore(0x20, right)
                mstore(add(to, 32), keccak256(0x00, 0x40))
                mstore(0x00, leftNow)
                mstore(0x20, rightNow)
                mstore(add(to, 64), keccak256(0x00, 0x40))
                to := add(to, 96)
            }
            parents := div(sub(to, nodes), 96)
        }
    }

    // ── totals ─────────────────────────────────────────────────────────────────────────────────────────────────────

    function _sums(State memory state) private pure returns (int256 cash, int256 badDebt, int256 clearing) {
        unchecked {
            for (uint256 i = 0; i < state.accounts.cells.length; ++i) {
                Cell memory cell = state.accounts.cells[i];
                if (cell.length == 0) continue;
                cash += Cells.cash(cell.data);
                badDebt += Cells.badDebt(cell.data);
            }
            for (uint256 i = 0; i < state.instruments.cells.length; ++i) {
                Cell memory cell = state.instruments.cells[i];
                if (cell.length > 0) clearing += Cells.readSigned64(cell.data + Cells.INSTRUMENT_CLEARING_CASH);
            }
        }
    }

    /// @notice Sets the totals; false where one of them would leave the range of +-(2^53 - 1): no cycle may take it there.
    /// @dev The sums are over at most some thousand cells of 64 bits: nothing overflows.
    function setTotals(State memory state) internal pure returns (bool areSafe) {
        (int256 cash, int256 badDebt, int256 clearing) = _sums(state);
        areSafe = _addSigned(state.globals + Cells.GLOBALS_CASH_TOTAL, cash - state.cash);
        areSafe = _addSigned(state.globals + Cells.GLOBALS_CLEARING_TOTAL, clearing - state.clearing) && areSafe;
        areSafe = _addSigned(state.globals + Cells.GLOBALS_BAD_DEBT, badDebt - state.badDebt) && areSafe;
    }

    function _addSigned(uint256 offset, int256 change) private pure returns (bool) {
        int256 sum = Cells.readSigned64(offset) + change;
        Cells.writeSigned64(offset, sum);
        return Cells.isSafe(sum);
    }
}
