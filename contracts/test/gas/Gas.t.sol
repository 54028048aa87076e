// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchHeader} from "../../src/chain/IBatchChain.sol";
import {Custody, OutboxCell, StateRoots} from "../../src/custody/Custody.sol";
import {Fixture} from "../support/Fixture.sol";

/// @notice Gas of whole transactions, calldata and its floor (EIP-7623) included. tools/gas-report.mjs runs these in
/// isolation and renders contracts/gas.md.
contract GasTest is Fixture {
    /// @dev Most that one transaction may use (EIP-7825).
    uint256 private constant TRANSACTION_GAS_MAX = 2 ** 24;

    function setUp() external {
        deploy();
        fund(ALICE, 1_000_000_000);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(1_000_000);
        postAndFinalise(keccak256("first"));
    }

    function testGas_openAccount() external {
        vm.startPrank(BOB);
        custody.openAccount();
        vm.snapshotGasLastCall("gas", "01 openAccount");
    }

    function testGas_deposit() external {
        vm.startPrank(ALICE);
        custody.deposit(2, 1_000_000);
        vm.snapshotGasLastCall("gas", "02 deposit");
    }

    function testGas_forceWithdrawal() external {
        vm.startPrank(ALICE);
        custody.forceWithdrawal(2, 1_000_000, ALICE);
        vm.snapshotGasLastCall("gas", "03 forceWithdrawal");
    }

    function testGas_listSeriesOf120Strikes() external {
        uint64[] memory strikes = new uint64[](120);
        for (uint64 i = 0; i < 120; ++i) {
            strikes[i] = 2 ** 49 + i;
        }
        vm.startPrank(LISTER);
        custody.listSeries(1, 1_900_000_000_000, strikes);
        vm.snapshotGasLastCall("gas", "04 listSeries, 120 strikes");
    }

    function testGas_postOneCycleOf200Bytes() external {
        measurePost(1, 200, "05 postBatch, 1 cycle, 236 bytes");
    }

    function testGas_postTypical() external {
        measurePost(20, 500, "06 postBatch, 20 cycles, 10,720 bytes");
    }

    function testGas_postWorstCase() external {
        uint256 gas = measurePost(256, 444, "07 postBatch, 256 cycles, 122,880 bytes");
        vm.assertLt(gas, TRANSACTION_GAS_MAX, "worst batch");
    }

    function testGas_postOneLongCycle() external {
        uint256 gas = measurePost(1, 122_844, "08 postBatch, 1 cycle, 122,880 bytes");
        vm.assertLt(gas, TRANSACTION_GAS_MAX, "longest cycle");
    }

    function testGas_finalise() external {
        uint64 number = postNext(keccak256("second"));
        vm.warp(block.timestamp + WINDOW);
        chain.finalise(number);
        vm.snapshotGasLastCall("gas", "09 finalise");
    }

    function testGas_dropFrom() external {
        uint64 number = postNext(keccak256("second"));
        postNext(keccak256("third"));
        vm.startPrank(DISPUTE);
        chain.dropFrom(number, BOB);
        vm.snapshotGasLastCall("gas", "10 dropFrom");
    }

    function testGas_withdrawBond() external {
        vm.startPrank(PROPOSER);
        chain.withdrawBond();
        vm.snapshotGasLastCall("gas", "11 withdrawBond");
    }

    function testGas_claim() external {
        OutboxCell memory cell = OutboxCell(2, 0, 400, uint64(block.chainid), BOB);
        (uint64 number, StateRoots memory roots, bytes32[] memory path) = finalOutbox(cell, 0xffffffff);
        custody.claim(number, roots, 0xffffffff, cell, path);
        vm.snapshotGasLastCall("gas", "12 claim, new recipient");
    }

    /// @notice Every byte of the data is nonzero but the lengths' leading ones: the dearest calldata of that size.
    function measurePost(uint256 count, uint256 payloadBytes, string memory name) private returns (uint256 gas) {
        (BatchHeader memory header,) = nextBatch(1, keccak256("next"));
        header.cycleCount = uint32(count);
        bytes memory data;
        (data, header.cyclesRoot) = cycles(count, payloadBytes, header.postStateRoot);
        header.dataLength = uint32(data.length);
        vm.startPrank(PROPOSER, PROPOSER);
        chain.postBatch{value: BOND}(header, data);
        gas = vm.snapshotGasLastCall("gas", name);
        vm.stopPrank();
        // Outside isolation the snapshot holds execution alone.
        uint256 calldataFloor = floorGas(abi.encodeCall(chain.postBatch, (header, data)));
        if (gas < calldataFloor) gas += calldataFloor;
    }

    /// @dev EIP-7623: 21,000 + 10 a token; a zero byte is one token, any other four.
    function floorGas(bytes memory call) private pure returns (uint256) {
        uint256 tokens = 0;
        for (uint256 i = 0; i < call.length; ++i) {
            tokens += call[i] == 0 ? 1 : 4;
        }
        return 21_000 + 10 * tokens;
    }
}
