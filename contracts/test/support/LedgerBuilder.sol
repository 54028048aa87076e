// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OutboxCell} from "../../src/custody/OutboxCell.sol";
import {StateParts} from "../../src/dispute/IDispute.sol";
import {Cells} from "../../src/lib/Cells.sol";
import {Reference} from "./Reference.sol";

/// @notice A small ledger state in storage: accounts with positions, instruments, an outbox. Made of the places that Cells
/// names, so that new fields of a cell change nothing here.
abstract contract LedgerBuilder {
    struct TestPosition {
        uint24 instrument;
        int32 size;
        int64 fundingIndex;
    }

    struct TestInstrument {
        uint24 number;
        uint8 kind;
        uint8 status;
        int64 fundingIndex;
        uint64 settlementPerLot;
        uint40 mark;
    }

    /// @dev Sorted by number, as the trees need them.
    uint24[] internal accountNumbers;
    mapping(uint24 account => address) internal ownerInState;
    mapping(uint24 account => int64) internal cashInState;
    mapping(uint24 account => TestPosition[]) internal positionsInState;
    TestInstrument[] internal instrumentsInState;
    OutboxCell[] internal outboxInState;
    uint64 internal cursorInState;
    uint64 internal timeMsInState;
    bytes32 internal inboundHashInState;
    bytes32 internal parametersHashInState;

    function addAccount(uint24 number, address owner, int64 cash) internal {
        accountNumbers.push(number);
        ownerInState[number] = owner;
        cashInState[number] = cash;
    }

    // ── cells ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function put(bytes memory cell, uint256 offset, bytes memory value) internal pure {
        for (uint256 i = 0; i < value.length; ++i) {
            cell[offset + i] = value[i];
        }
    }

    function putSigned(bytes memory cell, uint256 offset, int256 value, uint256 width) internal pure {
        put(cell, offset, Reference.littleEndian(uint256(value) & (2 ** (8 * width) - 1), width));
    }

    function accountCell(uint24 number) internal view returns (bytes memory cell) {
        TestPosition[] storage positions = positionsInState[number];
        cell = new bytes(Cells.ACCOUNT_FIXED_BYTES + Cells.POSITION_BYTES * positions.length);
        put(cell, Cells.ACCOUNT_OWNER, abi.encodePacked(ownerInState[number]));
        uint256 tail = Cells.ACCOUNT_DELEGATES;
        putSigned(cell, tail + Cells.TAIL_CASH, cashInState[number], 8);
        cell[tail + Cells.TAIL_POSITION_COUNT] = bytes1(uint8(positions.length));
        for (uint256 i = 0; i < positions.length; ++i) {
            uint256 offset = tail + Cells.TAIL_POSITIONS + Cells.POSITION_BYTES * i;
            putSigned(cell, offset, int256(uint256(positions[i].instrument)), 3);
            putSigned(cell, offset + Cells.POSITION_SIZE, positions[i].size, 4);
            putSigned(cell, offset + Cells.POSITION_FUNDING_INDEX, positions[i].fundingIndex, 8);
        }
    }

    function instrumentCell(TestInstrument memory instrument) internal pure returns (bytes memory cell) {
        cell = new bytes(Cells.INSTRUMENT_BYTES);
        cell[0] = bytes1(instrument.kind);
        cell[Cells.INSTRUMENT_STATUS] = bytes1(instrument.status);
        putSigned(cell, Cells.INSTRUMENT_FUNDING_INDEX, instrument.fundingIndex, 8);
        putSigned(cell, Cells.INSTRUMENT_SETTLEMENT_PER_LOT, int256(uint256(instrument.settlementPerLot)), 8);
        putSigned(cell, Cells.INSTRUMENT_ROW, int256(uint256(instrument.mark)), 5);
    }

    function outboxCell(OutboxCell memory cell) internal pure returns (bytes memory) {
        return bytes.concat(
            Reference.littleEndian(cell.account, 3),
            Reference.littleEndian(cell.asset, 2),
            Reference.littleEndian(cell.amount, 8),
            Reference.littleEndian(cell.destinationChain, 8),
            bytes20(cell.recipient)
        );
    }

    function globalsBytes() internal view returns (bytes memory globals) {
        globals = new bytes(Cells.GLOBALS_BYTES);
        put(globals, Cells.GLOBALS_TIME_MS, Reference.littleEndian(timeMsInState, 8));
        put(globals, Cells.GLOBALS_INBOUND_CURSOR, Reference.littleEndian(cursorInState, 8));
        put(globals, Cells.GLOBALS_INBOUND_HASH, abi.encodePacked(inboundHashInState));
        putSigned(globals, Cells.GLOBALS_BAD_DEBT, badDebtInState(), 8);
        put(globals, Cells.GLOBALS_OUTBOX_COUNT, Reference.littleEndian(outboxInState.length, 4));
        put(globals, Cells.GLOBALS_PARAMETERS_HASH, abi.encodePacked(parametersHashInState));
    }

    /// @notice What accounts without positions owe.
    function badDebtInState() internal view returns (int256 badDebt) {
        for (uint256 i = 0; i < accountNumbers.length; ++i) {
            uint24 number = accountNumbers[i];
            int64 cash = cashInState[number];
            if (cash < 0 && positionsInState[number].length == 0) badDebt -= cash;
        }
    }

    // ── trees ──────────────────────────────────────────────────────────────────────────────────────────────────────

    struct Node {
        uint256 index;
        bytes32 hash;
        bool isWitnessed;
    }

    function accountNodes(uint24 witnessed, bool isAny) internal view returns (Node[] memory nodes) {
        nodes = new Node[](accountNumbers.length);
        for (uint256 i = 0; i < nodes.length; ++i) {
            uint24 number = accountNumbers[i];
            nodes[i] = Node(number, keccak256(accountCell(number)), isAny && number == witnessed);
        }
    }

    function holds(uint24 account, uint24 instrument) internal view returns (bool) {
        TestPosition[] storage positions = positionsInState[account];
        for (uint256 i = 0; i < positions.length; ++i) {
            if (positions[i].instrument == instrument) return true;
        }
        return false;
    }

    function instrumentNodes(uint24 account, bool isAny) internal view returns (Node[] memory nodes) {
        nodes = new Node[](instrumentsInState.length);
        for (uint256 i = 0; i < nodes.length; ++i) {
            TestInstrument memory one = instrumentsInState[i];
            nodes[i] = Node(one.number, keccak256(instrumentCell(one)), isAny && holds(account, one.number));
        }
    }

    function outboxNodes(uint32 witnessed) internal view returns (Node[] memory nodes) {
        nodes = new Node[](outboxInState.length);
        for (uint256 i = 0; i < nodes.length; ++i) {
            nodes[i] = Node(i, keccak256(outboxCell(outboxInState[i])), i == witnessed);
        }
    }

    /// @notice Root of a tree over these nodes and the siblings that its witnessed ones need, level by level.
    function fold(Node[] memory nodes, uint256 depth) internal pure returns (bytes32 root, bytes memory siblings) {
        bytes32 empty = 0;
        uint256 count = nodes.length;
        // As many as there can be; shortened at the end.
        siblings = new bytes(32 * depth * count);
        uint256 used = 0;
        for (uint256 height = 0; height < depth; ++height) {
            uint256 parents = 0;
            for (uint256 i = 0; i < count; ++i) {
                Node memory left = nodes[i];
                bool isPair = left.index % 2 == 0 && i + 1 < count && nodes[i + 1].index == left.index + 1;
                Node memory right = isPair ? nodes[i + 1] : Node(left.index ^ 1, empty, false);
                if (left.index % 2 == 1) (left, right) = (right, left);
                if (left.isWitnessed != right.isWitnessed) {
                    bytes32 sibling = left.isWitnessed ? right.hash : left.hash;
                    used += 32;
                    assembly ("memory-safe") {
                        mstore(add(siblings, used), sibling)
                    }
                }
                nodes[parents++] = Node(
                    left.index / 2,
                    keccak256(bytes.concat(left.hash, right.hash)),
                    left.isWitnessed || right.isWitnessed
                );
                if (isPair) ++i;
            }
            count = parents;
            empty = keccak256(bytes.concat(empty, empty));
        }
        root = count == 0 ? empty : nodes[0].hash;
        assembly ("memory-safe") {
            mstore(siblings, used)
        }
    }

    function underlyingsRoot() internal pure returns (bytes32 root) {
        (root,) = fold(new Node[](0), 16);
    }

    function stateParts() internal view returns (StateParts memory parts) {
        (parts.accountsRoot,) = fold(accountNodes(0, false), 24);
        (parts.instrumentsRoot,) = fold(instrumentNodes(0, false), 24);
        parts.underlyingsRoot = underlyingsRoot();
        (parts.outboxRoot,) = fold(outboxNodes(type(uint32).max), 32);
        parts.globals = globalsBytes();
    }

    function rootOf(StateParts memory parts) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                parts.accountsRoot,
                parts.instrumentsRoot,
                parts.underlyingsRoot,
                parts.outboxRoot,
                keccak256(parts.globals)
            )
        );
    }

    // ── witnesses ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice The account without its ring, the instruments of its positions.
    function accountWitness(uint24 number) internal view returns (bytes memory witness) {
        StateParts memory parts = stateParts();
        (, bytes memory siblings) = fold(accountNodes(number, true), 24);
        bytes memory cell = accountCell(number);
        witness = bytes.concat(parts.globals, hex"0001", bytes2(uint16(siblings.length / 32)));
        witness =
            bytes.concat(witness, bytes4(uint32(number)), bytes2(uint16(cell.length)), cell, hex"00000000", siblings);
        witness = bytes.concat(witness, instrumentsWitness(number, parts.instrumentsRoot));
        witness = bytes.concat(witness, hex"00000001", parts.underlyingsRoot, hex"00000001", parts.outboxRoot);
    }

    function instrumentsWitness(uint24 account, bytes32 root) private view returns (bytes memory tree) {
        if (positionsInState[account].length == 0) return bytes.concat(hex"00000001", root);
        (, bytes memory siblings) = fold(instrumentNodes(account, true), 24);
        uint256 count = 0;
        for (uint256 i = 0; i < instrumentsInState.length; ++i) {
            TestInstrument memory one = instrumentsInState[i];
            if (!holds(account, one.number)) continue;
            ++count;
            bytes memory cell = instrumentCell(one);
            tree = bytes.concat(tree, bytes4(uint32(one.number)), bytes2(uint16(cell.length)), cell);
        }
        tree = bytes.concat(bytes2(uint16(count)), bytes2(uint16(siblings.length / 32)), tree, siblings);
    }

    function outboxPath(uint32 number) internal view returns (bytes32[] memory path) {
        (, bytes memory siblings) = fold(outboxNodes(number), 32);
        path = new bytes32[](32);
        for (uint256 i = 0; i < 32; ++i) {
            bytes32 sibling;
            assembly ("memory-safe") {
                sibling := mload(add(add(siblings, 32), mul(i, 32)))
            }
            path[i] = sibling;
        }
    }
}
