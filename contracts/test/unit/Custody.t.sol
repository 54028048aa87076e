// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IBatchChain} from "../../src/chain/IBatchChain.sol";
import {Custody, CustodyTerms, OutboxCell, StateRoots} from "../../src/custody/Custody.sol";
import {Limits} from "../../src/lib/Limits.sol";
import {FixedWindowPolicy} from "../../src/policy/FixedWindowPolicy.sol";
import {Fixture} from "../support/Fixture.sol";
import {EighteenDecimals, FeeToken, HookToken, IdleToken, RefusingToken} from "../support/HostileTokens.sol";

contract CustodyTest is Fixture {
    uint64 private constant CASH_BOUND = 2 ** 53;

    function setUp() external {
        deploy();
    }

    /// @notice Expects the next call to queue exactly these bytes.
    function expectQueued(bytes memory entry) private {
        uint64 index = custody.queueLength();
        bytes32 hash = keccak256(bytes.concat(custody.queueHash(index), keccak256(entry)));
        vm.expectEmit(address(custody));
        emit Custody.InboundQueued(index, entry, hash, uint64(block.timestamp));
    }

    function aliceAccount() private returns (uint24 account) {
        account = openAccount(ALICE);
        fund(ALICE, 1_000_000_000);
    }

    // ── deployment ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_deployment() external view {
        vm.assertEq(address(custody.token()), address(usdc));
        vm.assertEq(address(custody.batchChain()), address(chain));
        vm.assertEq(custody.lister(), LISTER);
        vm.assertEq(custody.governor(), GOVERNOR);
        vm.assertEq(custody.escape(), ESCAPE);
        vm.assertEq(custody.forcedPeriodSeconds(), FORCED_PERIOD);
        vm.assertEq(custody.queueLength(), 0);
        vm.assertEq(custody.queueHash(0), bytes32(0));
        vm.assertFalse(custody.frozen());
    }

    function test_constructorRefuses() external {
        vm.expectRevert(abi.encodeWithSelector(Custody.BatchChainNamesAnotherCustody.selector, address(custody)));
        new Custody(custodyTerms(usdc));
        IERC20Metadata other = new EighteenDecimals();
        vm.expectRevert(abi.encodeWithSelector(Custody.TokenDecimals.selector, 18));
        new Custody(custodyTerms(other));
        address named = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        IBatchChain naming = IBatchChain(address(new ChainNaming(named)));
        CustodyTerms memory terms = custodyTerms(usdc);
        terms.batchChain = naming;
        terms.forcedPeriodSeconds = 0;
        vm.expectRevert(Custody.ForcedPeriodZero.selector);
        new Custody(terms);
    }

    // ── accounts ───────────────────────────────────────────────────────────────────────────────────────────────────

    function test_openAccountNumbersFromTwo() external {
        expectQueued(abi.encodePacked(hex"01", hex"000002", ALICE));
        vm.assertEq(openAccount(ALICE), 2);
        expectQueued(abi.encodePacked(hex"01", hex"000003", BOB));
        vm.assertEq(openAccount(BOB), 3);
        vm.assertEq(custody.ownerOf(2), ALICE);
        vm.assertEq(custody.ownerOf(3), BOB);
        vm.assertEq(custody.ownerOf(0), address(0));
        vm.assertEq(custody.ownerOf(1), address(0));
        vm.assertEq(custody.queueLength(), 2);
        vm.assertEq(custody.forcedDeadlineOf(0), 0);
    }

    function test_openAccountUntilNumbersEnd() external {
        // queueLength (8 bytes), frozen (1), last account (3) share slot 0.
        vm.store(address(custody), 0, bytes32(uint256(0xfffffe) << 72));
        vm.assertEq(openAccount(ALICE), 0xffffff);
        vm.expectRevert(Custody.AccountsExhausted.selector);
        vm.prank(BOB);
        custody.openAccount();
    }

    // ── deposits ───────────────────────────────────────────────────────────────────────────────────────────────────

    function test_deposit() external {
        uint24 account = aliceAccount();
        fund(BOB, 7);
        expectQueued(abi.encodePacked(hex"02", hex"000002", uint64(1_000_000), ALICE));
        vm.prank(ALICE);
        vm.assertEq(custody.deposit(account, 1_000_000), 1);
        expectQueued(abi.encodePacked(hex"02", hex"000002", uint64(6), BOB));
        vm.prank(BOB);
        custody.deposit(account, 6);
        expectQueued(abi.encodePacked(hex"02", hex"000001", uint64(1), BOB));
        vm.prank(BOB);
        custody.deposit(1, 1);
        vm.assertEq(usdc.balanceOf(address(custody)), 1_000_007);
    }

    function test_openAccountAndDeposit() external {
        fund(ALICE, 5);
        bytes memory open = abi.encodePacked(hex"01", hex"000002", ALICE);
        bytes memory deposit = abi.encodePacked(hex"02", hex"000002", uint64(5), ALICE);
        bytes32 first = keccak256(bytes.concat(bytes32(0), keccak256(open)));
        bytes32 second = keccak256(bytes.concat(first, keccak256(deposit)));
        vm.expectEmit(address(custody));
        emit Custody.InboundQueued(0, open, first, uint64(block.timestamp));
        vm.expectEmit(address(custody));
        emit Custody.InboundQueued(1, deposit, second, uint64(block.timestamp));
        vm.prank(ALICE);
        vm.assertEq(custody.openAccountAndDeposit(5), 2);
        vm.assertEq(custody.queueHash(1), first);
        vm.assertEq(custody.queueHash(2), second);
        vm.assertEq(usdc.balanceOf(address(custody)), 5);
    }

    function test_depositRefuses() external {
        uint24 account = aliceAccount();
        usdc.mint(ALICE, 2 ** 60);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Custody.AccountUnknown.selector, 0));
        custody.deposit(0, 1);
        vm.expectRevert(abi.encodeWithSelector(Custody.AccountUnknown.selector, account + 1));
        custody.deposit(account + 1, 1);
        vm.expectRevert(abi.encodeWithSelector(Custody.AmountOutOfRange.selector, 0));
        custody.deposit(account, 0);
        vm.expectRevert(abi.encodeWithSelector(Custody.AmountOutOfRange.selector, CASH_BOUND));
        custody.deposit(account, CASH_BOUND);
        vm.expectRevert(abi.encodeWithSelector(Custody.AmountOutOfRange.selector, 2 ** 64 + 1));
        custody.deposit(account, 2 ** 64 + 1);
        vm.expectRevert(abi.encodeWithSelector(Custody.AmountOutOfRange.selector, 0));
        custody.openAccountAndDeposit(0);
        vm.assertEq(custody.queueLength(), 1);
    }

    /// The ledger could not count more: its inbound cycle would be refused, and with it every entry that follows.
    function test_depositsEndBeforeTheLedgerCannotCountThem() external {
        uint24 account = aliceAccount();
        uint256 bound = custody.DEPOSITS_BOUND();
        vm.assertEq(bound, CASH_BOUND / 2);
        usdc.mint(ALICE, 2 ** 60);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Custody.DepositsExhausted.selector, 0, bound));
        custody.deposit(account, bound);
        custody.deposit(account, bound - 3);
        vm.expectRevert(abi.encodeWithSelector(Custody.DepositsExhausted.selector, bound - 3, 3));
        custody.openAccountAndDeposit(3);
        custody.deposit(1, 2);
        vm.expectRevert(abi.encodeWithSelector(Custody.DepositsExhausted.selector, bound - 1, 1));
        custody.deposit(account, 1);
        vm.assertEq(uint256(custody.depositedTotal()), bound - 1);
        vm.assertEq(custody.queueLength(), 3);
        // What costs no money still goes.
        custody.openAccount();
        custody.cancelAll(account, 1);
        vm.assertEq(custody.queueLength(), 5);
    }

    function test_depositRefusesTokensThatArriveShort() external {
        FeeToken fees = new FeeToken();
        deployWith(fees, new FixedWindowPolicy(WINDOW, GUARD), GENESIS_ROOT);
        fees.mint(ALICE, 1_000);
        vm.startPrank(ALICE);
        fees.approve(address(custody), 1_000);
        vm.expectRevert(abi.encodeWithSelector(Custody.DepositMismatch.selector, 990, 1_000));
        custody.deposit(1, 1_000);
        vm.stopPrank();

        IdleToken idle = new IdleToken();
        deployWith(idle, new FixedWindowPolicy(WINDOW, GUARD), GENESIS_ROOT);
        vm.startPrank(ALICE);
        idle.approve(address(custody), 1_000);
        vm.expectRevert(abi.encodeWithSelector(Custody.DepositMismatch.selector, 0, 1_000));
        custody.deposit(1, 1_000);
        vm.assertEq(custody.queueLength(), 0);
    }

    function test_depositCannotBeReentered() external {
        HookToken hooks = new HookToken();
        deployWith(hooks, new FixedWindowPolicy(WINDOW, GUARD), GENESIS_ROOT);
        hooks.mint(ALICE, 10);
        hooks.arm(address(custody), abi.encodeCall(Custody.openAccount, ()));
        vm.startPrank(ALICE);
        hooks.approve(address(custody), 10);
        custody.deposit(1, 10);
        vm.assertTrue(hooks.called());
        vm.assertFalse(hooks.succeeded());
        vm.assertEq(hooks.answer(), abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
        vm.assertEq(custody.queueLength(), 1);
    }

    // ── keys ───────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_keyEntries() external {
        uint24 account = aliceAccount();
        vm.startPrank(ALICE);
        expectQueued(abi.encodePacked(hex"03", hex"000002", BOB, uint8(1), uint64(1_900_000_000_000)));
        custody.grantKey(account, BOB, 1, 1_900_000_000_000);
        expectQueued(abi.encodePacked(hex"04", hex"000002", BOB, uint48(9)));
        custody.revokeKey(account, BOB, 9);
        expectQueued(abi.encodePacked(hex"05", hex"000002", type(uint48).max));
        vm.assertEq(custody.cancelAll(account, type(uint48).max), 3);
        vm.assertEq(custody.forcedDeadlineOf(1), 0);
    }

    function test_keyEntriesRefuse() external {
        uint24 account = aliceAccount();
        vm.startPrank(ALICE);
        vm.expectRevert(Custody.KeyZero.selector);
        custody.grantKey(account, address(0), 1, 0);
        vm.expectRevert(Custody.KeyZero.selector);
        custody.revokeKey(account, address(0), 0);
        vm.expectRevert(abi.encodeWithSelector(Custody.TimeOutOfRange.selector, CASH_BOUND));
        custody.grantKey(account, BOB, 1, CASH_BOUND);
        custody.grantKey(account, BOB, 1, CASH_BOUND - 1);
    }

    // ── forced entries ─────────────────────────────────────────────────────────────────────────────────────────────

    function test_forcedEntriesCarryDeadlines() external {
        uint24 account = aliceAccount();
        uint64 deadline = uint64(block.timestamp) + FORCED_PERIOD;
        vm.startPrank(ALICE);
        expectQueued(abi.encodePacked(hex"06", hex"000002", uint64(5_000_000), BOB));
        vm.assertEq(custody.forceWithdrawal(account, 5_000_000, BOB), 1);
        expectQueued(
            abi.encodePacked(hex"07", hex"000002", hex"00002a", hex"fffffffd", hex"ffffff85", hex"00000000abcd")
        );
        vm.assertEq(custody.forceClose(account, 42, -3, -123, 0xabcd), 2);
        vm.warp(block.timestamp + 1);
        vm.stopPrank();
        // Anybody may ask for a liquidation.
        expectQueued(abi.encodePacked(hex"08", hex"000002"));
        vm.prank(BOB);
        vm.assertEq(custody.forceLiquidation(account), 3);
        vm.assertEq(custody.forcedDeadlineOf(0), 0);
        vm.assertEq(custody.forcedDeadlineOf(1), deadline);
        vm.assertEq(custody.forcedDeadlineOf(2), deadline);
        vm.assertEq(custody.forcedDeadlineOf(3), deadline + 1);
    }

    function test_forcedEntriesRefuse() external {
        uint24 account = aliceAccount();
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Custody.AmountOutOfRange.selector, 0));
        custody.forceWithdrawal(account, 0, BOB);
        vm.expectRevert(abi.encodeWithSelector(Custody.AmountOutOfRange.selector, CASH_BOUND));
        custody.forceWithdrawal(account, CASH_BOUND, BOB);
        vm.expectRevert(abi.encodeWithSelector(Custody.RecipientInvalid.selector, address(0)));
        custody.forceWithdrawal(account, 1, address(0));
        vm.expectRevert(abi.encodeWithSelector(Custody.RecipientInvalid.selector, address(custody)));
        custody.forceWithdrawal(account, 1, address(custody));
        vm.expectRevert(abi.encodeWithSelector(Custody.SizeOutOfRange.selector, int32(0)));
        custody.forceClose(account, 1, 0, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(Custody.SizeOutOfRange.selector, type(int32).min));
        custody.forceClose(account, 1, type(int32).min, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(Custody.PriceOutOfRange.selector, type(int32).min));
        custody.forceClose(account, 1, 1, type(int32).min, 0);
        custody.forceClose(account, 1, type(int32).max, -type(int32).max, type(uint48).max);
        custody.forceWithdrawal(account, CASH_BOUND - 1, BOB);
    }

    function test_onlyTheOwnerOfAnAccount() external {
        uint24 account = aliceAccount();
        openAccount(BOB);
        uint24[3] memory others = [account, 0, 9];
        for (uint256 i = 0; i < others.length; ++i) {
            uint24 other = others[i];
            vm.startPrank(BOB);
            expectNotOwner(other);
            custody.grantKey(other, BOB, 1, 0);
            expectNotOwner(other);
            custody.revokeKey(other, BOB, 0);
            expectNotOwner(other);
            custody.cancelAll(other, 1);
            expectNotOwner(other);
            custody.forceWithdrawal(other, 1, BOB);
            expectNotOwner(other);
            custody.forceClose(other, 1, 1, 1, 1);
            vm.stopPrank();
        }
    }

    function test_forcedLiquidationNeedsAnAccount() external {
        uint24 account = aliceAccount();
        uint24[3] memory none = [account + 1, 0, 1];
        for (uint256 i = 0; i < none.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Custody.AccountUnknown.selector, none[i]));
            custody.forceLiquidation(none[i]);
        }
    }

    function test_forcedRecipientsAreRemembered() external {
        uint24 account = aliceAccount();
        vm.startPrank(ALICE);
        custody.forceWithdrawal(account, 1, ALICE);
        vm.assertFalse(custody.hasForcedTo(account, ALICE));
        vm.assertFalse(custody.hasForcedTo(account, BOB));
        custody.forceWithdrawal(account, 1, BOB);
        vm.assertTrue(custody.hasForcedTo(account, BOB));
        vm.assertFalse(custody.hasForcedTo(account + 1, BOB));
    }

    function expectNotOwner(uint24 account) private {
        vm.expectRevert(abi.encodeWithSelector(Custody.CallerNotAccountOwner.selector, account, BOB));
    }

    // ── listing ────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_listSeries() external {
        uint64[] memory strikes = new uint64[](2);
        strikes[0] = 0x0102030405060;
        strikes[1] = 2 ** 50 - 1;
        vm.startPrank(LISTER);
        expectQueued(
            abi.encodePacked(
                hex"09", hex"0001", uint64(1_900_000_000_000), hex"0002", hex"0000102030405060", hex"0003ffffffffffff"
            )
        );
        custody.listSeries(1, 1_900_000_000_000, strikes);
        expectQueued(abi.encodePacked(hex"09", hex"0000", uint64(0), hex"0000"));
        custody.listSeries(0, 0, new uint64[](0));
        custody.listSeries(0, 0, new uint64[](120));
    }

    function test_listSeriesRefuses() external {
        uint64[] memory strikes = new uint64[](1);
        vm.expectRevert(abi.encodeWithSelector(Custody.CallerNotLister.selector, ALICE));
        vm.prank(ALICE);
        custody.listSeries(0, 0, strikes);
        vm.startPrank(LISTER);
        strikes[0] = 2 ** 50;
        vm.expectRevert(abi.encodeWithSelector(Custody.StrikeOutOfRange.selector, 2 ** 50));
        custody.listSeries(0, 0, strikes);
        vm.expectRevert(abi.encodeWithSelector(Custody.TimeOutOfRange.selector, 2 ** 53));
        custody.listSeries(0, 2 ** 53, strikes);
        vm.expectRevert(abi.encodeWithSelector(Custody.TooManyStrikes.selector, 121));
        custody.listSeries(0, 0, new uint64[](121));
    }

    // ── changes of parameters ──────────────────────────────────────────────────────────────────────────────────────

    function test_adminChange() external {
        bytes memory change = hex"0107ffffffffffffffff";
        expectQueued(abi.encodePacked(hex"0a", hex"000a", change));
        vm.prank(GOVERNOR);
        vm.assertEq(custody.adminChange(change), 0);
        vm.assertEq(custody.forcedDeadlineOf(0), 0);
        bytes memory longest = new bytes(Limits.ADMIN_CHANGE_BYTES_MAX);
        expectQueued(abi.encodePacked(hex"0a", uint16(longest.length), longest));
        vm.prank(GOVERNOR);
        custody.adminChange(longest);
    }

    function test_adminChangeRefuses() external {
        vm.expectRevert(abi.encodeWithSelector(Custody.CallerNotGovernor.selector, LISTER));
        vm.prank(LISTER);
        custody.adminChange(hex"01");
        vm.startPrank(GOVERNOR);
        vm.expectRevert(abi.encodeWithSelector(Custody.ChangeLengthOutOfRange.selector, 0));
        custody.adminChange("");
        uint256 length = Limits.ADMIN_CHANGE_BYTES_MAX + 1;
        vm.expectRevert(abi.encodeWithSelector(Custody.ChangeLengthOutOfRange.selector, length));
        custody.adminChange(new bytes(length));
        vm.stopPrank();
        vm.prank(ESCAPE);
        custody.freeze();
        vm.expectRevert(Custody.IsFrozen.selector);
        vm.prank(GOVERNOR);
        custody.adminChange(hex"01");
    }

    // ── claims ─────────────────────────────────────────────────────────────────────────────────────────────────────

    function cellFor(address recipient) private view returns (OutboxCell memory) {
        return OutboxCell(2, 0, 400, uint64(block.chainid), recipient);
    }

    function vaultWith(uint256 amount) private {
        fund(ALICE, amount);
        vm.prank(ALICE);
        custody.openAccountAndDeposit(amount);
    }

    function test_claimPaysTheRecipientOnce() external {
        vaultWith(1_000);
        OutboxCell memory cell = cellFor(BOB);
        (uint64 number, StateRoots memory roots, bytes32[] memory path) = finalOutbox(cell, 0x80000001);
        vm.assertFalse(custody.isClaimed(0x80000001));
        vm.expectEmit(address(custody));
        emit Custody.WithdrawalClaimed(0x80000001, BOB, 400);
        vm.prank(address(0xdead));
        custody.claim(number, roots, 0x80000001, cell, path);
        vm.assertEq(usdc.balanceOf(BOB), 400);
        vm.assertEq(usdc.balanceOf(address(custody)), 600);
        vm.assertTrue(custody.isClaimed(0x80000001));
        vm.assertEq(custody.claimedLeafOf(0x80000001), outboxLeaf(cell));
        vm.assertEq(custody.claimedLeafOf(1), bytes32(0));
        vm.assertFalse(custody.isClaimed(1));
        vm.expectRevert(abi.encodeWithSelector(Custody.AlreadyClaimed.selector, 0x80000001));
        custody.claim(number, roots, 0x80000001, cell, path);
        // The same withdrawal under a later final root is the same withdrawal.
        uint64 later = postAndFinalise(stateRootOf(roots));
        vm.expectRevert(abi.encodeWithSelector(Custody.AlreadyClaimed.selector, 0x80000001));
        custody.claim(later, roots, 0x80000001, cell, path);
    }

    function test_claimNeedsAFinalRoot() external {
        vaultWith(1_000);
        OutboxCell memory cell = cellFor(BOB);
        (uint64 number, StateRoots memory roots, bytes32[] memory path) = finalOutbox(cell, 3);
        uint64 pending = postNext(stateRootOf(roots));
        vm.expectRevert(abi.encodeWithSelector(IBatchChain.BatchNotFinal.selector, pending));
        custody.claim(pending, roots, 3, cell, path);
        vm.expectRevert(abi.encodeWithSelector(Custody.StateRootMismatch.selector, stateRootOf(roots), GENESIS_ROOT));
        custody.claim(0, roots, 3, cell, path);
        bytes32 right = roots.globalsHash;
        roots.globalsHash = keccak256("other");
        vm.expectRevert(
            abi.encodeWithSelector(Custody.StateRootMismatch.selector, stateRootOf(roots), chain.finalRoot(number))
        );
        custody.claim(number, roots, 3, cell, path);
        roots.globalsHash = right;
        custody.claim(number, roots, 3, cell, path);
    }

    function test_claimNeedsTheCellAsItIs() external {
        vaultWith(10_000);
        OutboxCell memory cell = cellFor(BOB);
        (uint64 number, StateRoots memory roots, bytes32[] memory path) = finalOutbox(cell, 3);
        cell.amount = 401;
        expectOutboxMismatch(number, roots, 3, cell, path);
        cell.amount = 400;
        cell.account = 3;
        expectOutboxMismatch(number, roots, 3, cell, path);
        cell.account = 2;
        cell.recipient = ALICE;
        expectOutboxMismatch(number, roots, 3, cell, path);
        cell.recipient = BOB;
        expectOutboxMismatch(number, roots, 2, cell, path);
        path[31] = keccak256("other");
        expectOutboxMismatch(number, roots, 3, cell, path);
    }

    function expectOutboxMismatch(
        uint64 number,
        StateRoots memory roots,
        uint32 withdrawalNumber,
        OutboxCell memory cell,
        bytes32[] memory path
    ) private {
        vm.expectPartialRevert(Custody.OutboxRootMismatch.selector);
        custody.claim(number, roots, withdrawalNumber, cell, path);
    }

    function test_claimRefusesPathOfAnotherLength() external {
        vaultWith(1_000);
        OutboxCell memory cell = cellFor(BOB);
        (uint64 number, StateRoots memory roots,) = finalOutbox(cell, 3);
        vm.expectRevert(abi.encodeWithSelector(Custody.PathLength.selector, 31));
        custody.claim(number, roots, 3, cell, new bytes32[](31));
        vm.expectRevert(abi.encodeWithSelector(Custody.PathLength.selector, 33));
        custody.claim(number, roots, 3, cell, new bytes32[](33));
    }

    function test_claimRefusesForeignChainAssetAndRecipient() external {
        vaultWith(1_000);
        OutboxCell memory cell = cellFor(BOB);
        cell.destinationChain = 10;
        (uint64 number, StateRoots memory roots, bytes32[] memory path) = finalOutbox(cell, 3);
        vm.expectRevert(abi.encodeWithSelector(Custody.ChainMismatch.selector, 10));
        custody.claim(number, roots, 3, cell, path);
        vm.chainId(10);
        custody.claim(number, roots, 3, cell, path);

        cell.asset = 1;
        (number, roots, path) = finalOutbox(cell, 4);
        vm.expectRevert(abi.encodeWithSelector(Custody.AssetUnknown.selector, 1));
        custody.claim(number, roots, 4, cell, path);
        cell.asset = 0;
        cell.recipient = address(0);
        (number, roots, path) = finalOutbox(cell, 5);
        vm.expectRevert(abi.encodeWithSelector(Custody.RecipientInvalid.selector, address(0)));
        custody.claim(number, roots, 5, cell, path);
        cell.recipient = address(custody);
        (number, roots, path) = finalOutbox(cell, 6);
        vm.expectRevert(abi.encodeWithSelector(Custody.RecipientInvalid.selector, address(custody)));
        custody.claim(number, roots, 6, cell, path);
    }

    function test_claimCannotBeReentered() external {
        HookToken hooks = new HookToken();
        deployWith(hooks, new FixedWindowPolicy(WINDOW, GUARD), GENESIS_ROOT);
        hooks.mint(ALICE, 1_000);
        vm.startPrank(ALICE);
        hooks.approve(address(custody), 1_000);
        custody.openAccountAndDeposit(1_000);
        vm.stopPrank();
        OutboxCell memory cell = cellFor(BOB);
        (uint64 number, StateRoots memory roots, bytes32[] memory path) = finalOutbox(cell, 0);
        hooks.arm(address(custody), abi.encodeCall(Custody.claim, (number, roots, 0, cell, path)));
        custody.claim(number, roots, 0, cell, path);
        vm.assertTrue(hooks.called());
        vm.assertEq(hooks.answer(), abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
        vm.assertEq(hooks.balanceOf(BOB), 400);
    }

    /// @notice A claim is not marked when the token refuses to pay: it can be sent again.
    function test_claimSurvivesAnEmptyVault() external {
        OutboxCell memory cell = cellFor(BOB);
        (uint64 number, StateRoots memory roots, bytes32[] memory path) = finalOutbox(cell, 0);
        (bool success,) = address(custody).call(abi.encodeCall(Custody.claim, (number, roots, 0, cell, path)));
        vm.assertFalse(success);
        vm.assertFalse(custody.isClaimed(0));
        vaultWith(1_000);
        custody.claim(number, roots, 0, cell, path);
        vm.assertEq(usdc.balanceOf(BOB), 400);
    }

    /// @notice A recipient that the token refuses stands in nobody's way, and is paid once the token allows it.
    function test_claimRefusedByTheTokenBlocksNobody() external {
        RefusingToken refusing = new RefusingToken();
        deployWith(refusing, new FixedWindowPolicy(WINDOW, GUARD), GENESIS_ROOT);
        refusing.mint(ALICE, 1_000);
        vm.startPrank(ALICE);
        refusing.approve(address(custody), 1_000);
        custody.openAccountAndDeposit(1_000);
        vm.stopPrank();
        OutboxCell memory refused = cellFor(BOB);
        OutboxCell memory paid = cellFor(ALICE);
        (uint64 number, StateRoots memory roots, bytes32[] memory path) = finalOutbox(refused, 0);
        (uint64 later, StateRoots memory laterRoots, bytes32[] memory laterPath) = finalOutbox(paid, 1);
        refusing.refuse(BOB, true);
        vm.expectRevert(abi.encodeWithSelector(RefusingToken.Refused.selector, BOB));
        custody.claim(number, roots, 0, refused, path);
        vm.assertFalse(custody.isClaimed(0));
        custody.claim(later, laterRoots, 1, paid, laterPath);
        vm.assertEq(refusing.balanceOf(ALICE), 400);
        refusing.refuse(BOB, false);
        custody.claim(number, roots, 0, refused, path);
        vm.assertEq(refusing.balanceOf(BOB), 400);
    }

    // ── winding up ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_freezeStopsQueueAndClaims() external {
        vaultWith(1_000);
        OutboxCell memory cell = cellFor(BOB);
        (uint64 number, StateRoots memory roots, bytes32[] memory path) = finalOutbox(cell, 0);
        vm.expectEmit(address(custody));
        emit Custody.Frozen();
        vm.prank(ESCAPE);
        custody.freeze();
        vm.assertTrue(custody.frozen());
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.claim(number, roots, 0, cell, path);
        vm.startPrank(ALICE);
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.openAccount();
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.deposit(2, 1);
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.openAccountAndDeposit(1);
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.grantKey(2, BOB, 1, 1);
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.revokeKey(2, BOB, 1);
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.cancelAll(2, 1);
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.forceWithdrawal(2, 1, ALICE);
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.forceClose(2, 1, 1, 1, 1);
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.forceLiquidation(2);
        vm.stopPrank();
        vm.expectRevert(Custody.IsFrozen.selector);
        vm.prank(LISTER);
        custody.listSeries(0, 0, new uint64[](0));
    }

    function test_releaseOnlyByEscapeAndOnlyWhenFrozen() external {
        vaultWith(1_000);
        vm.startPrank(ESCAPE);
        vm.expectRevert(Custody.NotFrozen.selector);
        custody.release(BOB, 1);
        custody.freeze();
        vm.expectRevert(Custody.IsFrozen.selector);
        custody.freeze();
        vm.expectEmit(address(custody));
        emit Custody.Released(BOB, 250);
        custody.release(BOB, 250);
        vm.stopPrank();
        vm.assertEq(usdc.balanceOf(BOB), 250);
        vm.expectRevert(abi.encodeWithSelector(Custody.CallerNotEscape.selector, BOB));
        vm.prank(BOB);
        custody.release(BOB, 1);
        vm.expectRevert(abi.encodeWithSelector(Custody.CallerNotEscape.selector, BOB));
        vm.prank(BOB);
        custody.freeze();
    }
}

/// @notice Names any custody address.
contract ChainNaming {
    address public immutable custody;

    constructor(address custody_) {
        custody = custody_;
    }
}

