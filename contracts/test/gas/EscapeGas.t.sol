// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchHeader} from "../../src/chain/IBatchChain.sol";
import {EntitlementKind} from "../../src/escape/IEscape.sol";
import {OutboxCell} from "../../src/custody/OutboxCell.sol";
import {Limits} from "../../src/lib/Limits.sol";
import {EscapeFixture} from "../support/EscapeFixture.sol";

/// @notice Gas of the escape's transactions, calldata included (tools/gas-report.mjs runs them in isolation).
contract EscapeGasTest is EscapeFixture {
    uint256 private constant REGISTRATION_GAS_MAX = 12_000_000;
    /// @dev The account's number, what the ABI adds, and the frame.
    uint256 private constant CALL_BYTES = 4 + 32 * 4;

    function setUp() external {
        deployVenue();
        addAccount(2, ALICE, 1_000_000_000);
        // As far apart as instruments can be: nothing is shared between their paths but the last levels.
        uint24 stride = uint24(Limits.INSTRUMENTS_MAX / Limits.POSITIONS_MAX);
        for (uint24 i = 0; i < Limits.POSITIONS_MAX; ++i) {
            uint24 number = i * stride + i % stride;
            instrumentsInState.push(TestInstrument(number, 1, 1, 2 ** 40, 0, 2 ** 39));
            positionsInState[2].push(TestPosition(number, int32(uint32(i + 1)), -2 ** 40));
        }
        outboxInState.push(OutboxCell(2, 0, 500, uint64(block.chainid), BOB));
        finaliseState();
        fund(BOB, 900);
        vm.prank(BOB);
        custody.openAccountAndDeposit(900);
    }

    function testGas_freezeAndAnchor() external {
        uint24 account = openAccount(CAROL);
        vm.prank(CAROL);
        uint64 index = custody.forceWithdrawal(account, 1, CAROL);
        vm.warp(block.timestamp + FORCED_PERIOD + 1);
        escape.freezeForMissedEntry(index);
        vm.snapshotGasLastCall("gas", "20 freezeForMissedEntry");
        escape.fixAnchor(stateParts(), address(0));
        vm.snapshotGasLastCall("gas", "21 fixAnchor");
        bytes memory marks;
        for (uint24 i = 0; i < 128; ++i) {
            marks = bytes.concat(marks, markEntry(i, 2 ** 39));
        }
        bytes memory signatures = signMarks(marks);
        escape.setClosingMarks(marks, signatures);
        vm.snapshotGasLastCall("gas", "22 setClosingMarks, 128 instruments");
    }

    /// @notice What it costs the venue to consume 256 forced entries, one a cycle, against what it costs to queue them.
    function testGas_consumeForcedEntries() external {
        // Header, count, length, entry: the payload of an inbound cycle with one forced withdrawal.
        (BatchHeader memory header, bytes memory data) = nextBatch(1, keccak256("forced"));
        header.cycleCount = 256;
        (data, header.cyclesRoot) = cycles(256, 10 + 1 + 2 + 32, header.postStateRoot);
        header.dataLength = uint32(data.length);
        vm.startPrank(PROPOSER, PROPOSER);
        chain.postBatch{value: BOND}(header, data);
        uint256 gas = vm.snapshotGasLastCall("gas", "28 postBatch, 256 forced entries, one a cycle");
        vm.stopPrank();
        vm.startPrank(BOB);
        custody.forceWithdrawal(2, 1, ALICE);
        uint256 queueing = vm.snapshotGasLastCall("gas", "29 forceWithdrawal to another recipient");
        vm.assertLt(10 * gas / 256, queueing, "queueing costs ten times as much");
    }

    function testGas_registerAndPay() external {
        freezeByMissedEntry();
        fixAnchor();
        setMarks(markEntry(0, 7));
        startRegistration();
        bytes memory witness = accountWitness(2);
        vm.assertLt(witness.length + CALL_BYTES, Limits.CHALLENGE_BYTES_MAX, "bytes");
        escape.registerAccount(2, witness);
        uint256 gas = vm.snapshotGasLastCall("gas", "23 registerAccount, 128 positions far apart");
        vm.assertLt(gas, REGISTRATION_GAS_MAX, "gas");
        bytes32[] memory path = outboxPath(0);
        escape.registerWithdrawal(0, outboxInState[0], path);
        vm.snapshotGasLastCall("gas", "24 registerWithdrawal");
        escape.registerDeposit(1, abi.encodePacked(uint8(2), uint24(2), uint64(900), BOB));
        vm.snapshotGasLastCall("gas", "25 registerDeposit");
        vm.warp(escape.registrationUntil());
        escape.close();
        vm.snapshotGasLastCall("gas", "26 close");
        escape.pay(EntitlementKind.ACCOUNT, 2);
        vm.snapshotGasLastCall("gas", "27 pay");
    }
}
