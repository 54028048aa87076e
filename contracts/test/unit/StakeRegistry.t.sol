// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain} from "../../src/chain/BatchChain.sol";
import {BatchHeader} from "../../src/chain/IBatchChain.sol";
import {Slash, StakeRegistry, StakeTerms} from "../../src/stake/StakeRegistry.sol";
import {FeeToken, HookToken, IdleToken, RefusingToken} from "../support/HostileTokens.sol";
import {StakeFixture} from "../support/StakeFixture.sol";

contract StakeRegistryTest is StakeFixture {
    uint64 private _start;

    function setUp() external {
        deployStake();
        _start = uint64(block.timestamp);
    }

    function expectRefused(address proposer) private {
        (BatchHeader memory header, bytes memory data) = nextBatch(1, keccak256("refused"));
        vm.deal(proposer, BOND);
        vm.expectRevert(abi.encodeWithSelector(BatchChain.ProposerNotAllowed.selector, proposer));
        vm.prank(proposer, proposer);
        chain.postBatch{value: BOND}(header, data);
    }

    function assertActive(address[] memory expected) private view {
        vm.assertEq(keccak256(abi.encode(registry.activeSet())), keccak256(abi.encode(expected)), "active set");
    }

    function list(address one) private pure returns (address[] memory all) {
        all = new address[](1);
        all[0] = one;
    }

    function list(address one, address two) private pure returns (address[] memory all) {
        all = new address[](2);
        (all[0], all[1]) = (one, two);
    }

    // ── deployment ─────────────────────────────────────────────────────────────────────────────────────────────────

    function test_deployment() external view {
        vm.assertLt(address(registry).code.length, 24_576, "registry code size");
        vm.assertLt(address(pool).code.length, 24_576, "pool code size");
        assertActive(list(FIRST, SECOND));
        vm.assertEq(registry.totalStake(), 2 * STAKE);
        vm.assertEq(registry.stakeOf(FIRST), STAKE);
        vm.assertEq(registry.slashCount(), 0);
    }

    function test_constructorRefuses() external {
        StakeTerms memory terms = stakeTermsOf(chain);
        address[] memory none = new address[](0);
        terms.minimumStake = 0;
        vm.expectRevert(StakeRegistry.MinimumStakeZero.selector);
        new StakeRegistry(terms, none);
        terms = stakeTermsOf(chain);
        terms.unbondingSeconds = WINDOW;
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.UnbondingTooShort.selector, WINDOW));
        new StakeRegistry(terms, none);
        terms = stakeTermsOf(chain);
        terms.turnSeconds = 0;
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.TurnOutOfRange.selector, 0));
        new StakeRegistry(terms, none);
        terms.turnSeconds = OPEN_AFTER + 1;
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.TurnOutOfRange.selector, OPEN_AFTER + 1));
        new StakeRegistry(terms, none);
        terms = stakeTermsOf(chain);
        vm.expectRevert(StakeRegistry.AddressZero.selector);
        new StakeRegistry(terms, list(address(0)));
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.AlreadyAdmitted.selector, FIRST));
        new StakeRegistry(terms, list(FIRST, FIRST));
        terms.pool = address(0);
        vm.expectRevert(StakeRegistry.AddressZero.selector);
        new StakeRegistry(terms, none);
        terms = stakeTermsOf(chain);
        terms.dispute = address(0);
        vm.expectRevert(StakeRegistry.AddressZero.selector);
        new StakeRegistry(terms, none);
        terms = stakeTermsOf(BatchChain(address(0)));
        vm.expectRevert(StakeRegistry.AddressZero.selector);
        new StakeRegistry(terms, none);
        terms = stakeTermsOf(chain);
        terms.token = IERC20(address(0));
        vm.expectRevert(StakeRegistry.AddressZero.selector);
        new StakeRegistry(terms, none);
    }

    // ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function test_turnsFollowNumberAndSilence() external {
        // Batch 1 of two proposers: place 1 first.
        vm.assertEq(registry.turnOf(1), SECOND);
        expectRefused(FIRST);
        postRootAs(SECOND, keccak256("one"));
        expectRefused(SECOND);
        postRootAs(FIRST, keccak256("two"));
        // SECOND is silent: it costs one turn, no more.
        vm.warp(block.timestamp + TURN - 1);
        expectRefused(FIRST);
        vm.warp(block.timestamp + 1);
        expectRefused(SECOND);
        postRootAs(FIRST, keccak256("three"));
        vm.assertEq(registry.turnOf(4), FIRST);
    }

    function test_stakeAloneTakesNoTurns() external {
        stakeFor(THIRD, 10 * STAKE);
        assertActive(list(FIRST, SECOND));
        expectRefused(THIRD);
        vm.warp(_start + OPEN_AFTER - 1);
        expectRefused(THIRD);
        vm.warp(_start + OPEN_AFTER);
        expectRefused(ALICE);
        postRootAs(THIRD, keccak256("rescue"));
        expectRefused(THIRD);
    }

    function test_openPostingNeedsTheWholeStake() external {
        stakeFor(THIRD, STAKE - 1);
        vm.warp(_start + OPEN_AFTER);
        vm.assertFalse(registry.mayPost(THIRD, 1));
        stakeFor(THIRD, 1);
        vm.assertTrue(registry.mayPost(THIRD, 1));
        unbond(THIRD, 1);
        vm.assertFalse(registry.mayPost(THIRD, 1));
    }

    function test_emptySetOpensAfterOneTurn() external {
        stakeFor(THIRD, STAKE);
        unbond(FIRST, STAKE);
        unbond(SECOND, 1);
        vm.assertEq(registry.activeSet().length, 0);
        vm.assertEq(registry.turnOf(1), address(0));
        expectRefused(THIRD);
        vm.warp(_start + TURN);
        expectRefused(SECOND);
        postRootAs(THIRD, keccak256("one"));
    }

    function test_dropStartsTheTurnAnew() external {
        postRootAs(SECOND, keccak256("one"));
        postRootAs(FIRST, keccak256("bad"));
        vm.warp(block.timestamp + 10 * TURN);
        convict(2, CHALLENGER);
        assertActive(list(SECOND));
        vm.assertEq(registry.turnOf(2), SECOND);
        postRootAs(SECOND, keccak256("two"));
        vm.assertEq(chain.lastNumber(), 2);
    }

    function test_afterTheLastProposerIsConvictedTheNextOneContinues() external {
        stakeFor(THIRD, STAKE);
        unbond(FIRST, STAKE);
        postRootAs(SECOND, keccak256("bad"));
        convict(1, CHALLENGER);
        expectRefused(THIRD);
        vm.warp(block.timestamp + TURN);
        postRootAs(THIRD, keccak256("good"));
    }

    function testFuzz_turnIsTheFormula(uint64 number, uint256 silence) external {
        number = uint64(uint256(number) % 2 ** 60);
        silence %= OPEN_AFTER;
        vm.warp(_start + silence);
        address[] memory active = registry.activeSet();
        address expected = active[(uint256(number) + silence / TURN) % active.length];
        vm.assertEq(registry.turnOf(number), expected);
        vm.assertTrue(registry.mayPost(expected, number));
        vm.assertFalse(registry.mayPost(expected == FIRST ? SECOND : FIRST, number));
    }

    // ── admission ──────────────────────────────────────────────────────────────────────────────────────────────────

    function test_admissionTakesALongestWindow() external {
        stakeFor(THIRD, STAKE);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.CallerNotSequencer.selector, THIRD));
        vm.prank(THIRD);
        registry.admit(THIRD);
        vm.prank(SEQUENCER);
        registry.admit(THIRD);
        vm.warp(_start + WINDOW - 1);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.CannotJoin.selector, THIRD));
        registry.join(THIRD);
        vm.warp(_start + WINDOW);
        registry.join(THIRD);
        vm.assertEq(registry.activeSet().length, 3);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.CannotJoin.selector, THIRD));
        registry.join(THIRD);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.AlreadyAdmitted.selector, THIRD));
        vm.prank(SEQUENCER);
        registry.admit(THIRD);
    }

    function test_joiningNeedsTheStake() external {
        vm.prank(SEQUENCER);
        registry.admit(THIRD);
        stakeFor(THIRD, STAKE - 1);
        vm.warp(_start + WINDOW);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.CannotJoin.selector, THIRD));
        registry.join(THIRD);
        stakeFor(THIRD, 1);
        vm.assertEq(registry.activeSet().length, 3);
    }

    function test_dismissal() external {
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.CallerNotSequencer.selector, ALICE));
        vm.prank(ALICE);
        registry.dismiss(FIRST);
        vm.startPrank(SEQUENCER);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.NotAdmitted.selector, THIRD));
        registry.dismiss(THIRD);
        registry.dismiss(FIRST);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.AlreadyDismissed.selector, FIRST));
        registry.dismiss(FIRST);
        vm.stopPrank();
        vm.warp(_start + WINDOW - 1);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.NotDismissed.selector, FIRST));
        registry.removeDismissed(FIRST);
        vm.warp(_start + WINDOW);
        registry.removeDismissed(FIRST);
        assertActive(list(SECOND));
        vm.assertEq(registry.stakeOf(FIRST), STAKE);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.NotDismissed.selector, FIRST));
        registry.removeDismissed(FIRST);
    }

    function test_dismissedBeforeJoiningNeverJoins() external {
        vm.startPrank(SEQUENCER);
        registry.admit(THIRD);
        registry.dismiss(THIRD);
        vm.stopPrank();
        vm.warp(_start + WINDOW);
        stakeFor(THIRD, STAKE);
        vm.assertEq(registry.activeSet().length, 2);
        registry.removeDismissed(THIRD);
        vm.prank(SEQUENCER);
        registry.admit(THIRD);
    }

    /// @notice Leaving and coming back would move everybody's turn each time: an admission counts once.
    function test_leavingEndsTheAdmission() external {
        unbond(FIRST, 1);
        assertActive(list(SECOND));
        stakeFor(FIRST, 5 * STAKE);
        assertActive(list(SECOND));
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.CannotJoin.selector, FIRST));
        registry.join(FIRST);
        vm.prank(SEQUENCER);
        registry.admit(FIRST);
        vm.warp(_start + WINDOW);
        registry.join(FIRST);
        assertActive(list(SECOND, FIRST));
    }

    function test_setIsBounded() external {
        for (uint160 i = 0; i < 31; ++i) {
            vm.prank(SEQUENCER);
            registry.admit(address(0x5000 + i));
        }
        vm.warp(_start + WINDOW);
        for (uint160 i = 0; i < 31; ++i) {
            stakeFor(address(0x5000 + i), STAKE);
        }
        vm.assertEq(registry.activeSet().length, 32);
        vm.assertEq(registry.stakeOf(address(0x501e)), STAKE);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.CannotJoin.selector, address(0x501e)));
        registry.join(address(0x501e));
        unbond(FIRST, STAKE);
        // The last of the set took the first place.
        vm.assertEq(registry.activeSet()[0], address(0x501d));
        registry.join(address(0x501e));
        vm.assertEq(registry.activeSet()[31], address(0x501e));
    }

    // ── deposits and unbonding ─────────────────────────────────────────────────────────────────────────────────────

    function test_depositRefuses() external {
        vm.expectRevert(StakeRegistry.AmountZero.selector);
        registry.deposit(0);
        vm.expectRevert(StakeRegistry.AddressZero.selector);
        registry.depositFor(address(0), 1);
    }

    function test_unbondAndWithdraw() external {
        unbond(FIRST, STAKE);
        vm.assertEq(registry.stakeOf(FIRST), STAKE);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.StakeTooSmall.selector, 0, 1));
        vm.prank(FIRST);
        registry.requestUnbond(1);
        vm.warp(_start + UNBONDING - 1);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.StillUnbonding.selector, _start + UNBONDING));
        vm.prank(FIRST);
        registry.withdraw();
        vm.warp(_start + UNBONDING);
        vm.prank(FIRST);
        registry.withdraw();
        vm.assertEq(usdc.balanceOf(FIRST), STAKE);
        vm.assertEq(registry.totalStake(), STAKE);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.NothingUnbonding.selector, FIRST));
        vm.prank(FIRST);
        registry.withdraw();
        vm.expectRevert(StakeRegistry.AmountZero.selector);
        vm.prank(FIRST);
        registry.requestUnbond(0);
    }

    function test_aFurtherRequestMovesTheRelease() external {
        stakeFor(FIRST, 10);
        unbond(FIRST, 4);
        vm.warp(_start + UNBONDING - 1);
        unbond(FIRST, 6);
        vm.warp(_start + UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.StillUnbonding.selector, _start + 2 * UNBONDING - 1));
        vm.prank(FIRST);
        registry.withdraw();
        vm.warp(_start + 2 * UNBONDING - 1);
        vm.prank(FIRST);
        registry.withdraw();
        vm.assertEq(usdc.balanceOf(FIRST), 10);
        assertActive(list(FIRST, SECOND));
    }

    /// @notice Unbonding takes the place but not the responsibility, however early the slash is seen coming.
    function test_unbondingDoesNotOutrunASlash() external {
        postRootAs(SECOND, keccak256("bad"));
        unbond(SECOND, STAKE);
        assertActive(list(FIRST));
        convict(1, CHALLENGER);
        vm.assertEq(registry.stakeOf(SECOND), 0);
        vm.warp(_start + UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.NothingUnbonding.selector, SECOND));
        vm.prank(SECOND);
        registry.withdraw();
    }

    function test_withdrawalWaitsForBatchesThatCanStillBeChallenged() external {
        postRootAs(SECOND, keccak256("one"));
        unbond(SECOND, STAKE);
        vm.warp(_start + UNBONDING);
        // Nobody finalised it yet: it can still be proven wrong, and the stake still answers for it.
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.BatchesNotResolved.selector, 1));
        vm.prank(SECOND);
        registry.withdraw();
        chain.finalise(1);
        vm.prank(SECOND);
        registry.withdraw();
        vm.assertEq(usdc.balanceOf(SECOND), STAKE);
    }

    function test_droppedBatchesDoNotHoldTheStakeForEver() external {
        postRootAs(SECOND, keccak256("one"));
        postRootAs(FIRST, keccak256("bad"));
        unbond(SECOND, STAKE);
        vm.warp(_start + UNBONDING);
        chain.finalise(1);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.BatchesNotResolved.selector, 2));
        vm.prank(SECOND);
        registry.withdraw();
        convict(2, CHALLENGER);
        vm.prank(SECOND);
        registry.withdraw();
    }

    // ── slashing ───────────────────────────────────────────────────────────────────────────────────────────────────

    function test_slashSplitsAndRecords() external {
        postRootAs(SECOND, keccak256("bad"));
        vm.startPrank(DISPUTE);
        chain.dropFrom(1, CHALLENGER);
        vm.expectEmit(address(registry));
        emit StakeRegistry.ProposerSlashed(0, SECOND, 1, CHALLENGER, STAKE / 2, STAKE / 4, STAKE / 4);
        registry.slashProposer(SECOND, 1, CHALLENGER);
        vm.stopPrank();
        Slash memory slash = registry.slashAt(0);
        vm.assertEq(registry.slashCount(), 1);
        vm.assertEq(slash.staker, SECOND);
        vm.assertEq(slash.batchNumber, 1);
        vm.assertEq(slash.slashedAt, _start);
        vm.assertEq(slash.beneficiary, CHALLENGER);
        vm.assertEq(slash.taken, STAKE);
        vm.assertEq(slash.burnt, STAKE / 2);
        vm.assertEq(slash.reward, STAKE / 4);
        assertActive(list(FIRST));
        registry.burnSlashed();
        registry.payPool();
        registry.payReward(CHALLENGER);
        vm.assertEq(usdc.balanceOf(BURN), STAKE / 2);
        vm.assertEq(usdc.balanceOf(address(pool)), STAKE / 4);
        vm.assertEq(usdc.balanceOf(CHALLENGER), STAKE / 4);
        vm.assertEq(usdc.balanceOf(address(registry)), STAKE);
        vm.expectRevert(StakeRegistry.NothingToPay.selector);
        registry.burnSlashed();
        vm.expectRevert(StakeRegistry.NothingToPay.selector);
        registry.payPool();
        vm.expectRevert(StakeRegistry.NothingToPay.selector);
        registry.payReward(CHALLENGER);
    }

    function test_slashIsOnlyForTheDisputeContract() external {
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.CallerNotDispute.selector, address(this)));
        registry.slashProposer(FIRST, 1, CHALLENGER);
    }

    function test_slashTakesTheMinimumOnceAndWhatIsLeft() external {
        stakeFor(SECOND, STAKE / 2);
        postRootAs(SECOND, keccak256("bad"));
        convict(1, CHALLENGER);
        vm.assertEq(registry.stakeOf(SECOND), STAKE / 2);
        // Number 1 again, by a proposer that has less than the minimum left of what it had.
        unbond(SECOND, STAKE / 2);
        vm.warp(block.timestamp + 2 * TURN);
        postRootAs(FIRST, keccak256("bad again"));
        convict(1, CHALLENGER);
        vm.assertEq(registry.stakeOf(FIRST), 0);
        vm.assertEq(registry.slashCount(), 2);
        vm.prank(DISPUTE);
        registry.slashProposer(SECOND, 1, CHALLENGER);
        vm.assertEq(registry.stakeOf(SECOND), 0);
        vm.assertEq(registry.slashAt(2).taken, STAKE / 2);
        vm.prank(DISPUTE);
        registry.slashProposer(ALICE, 1, CHALLENGER);
        vm.assertEq(registry.slashAt(3).taken, 0);
    }

    function test_convictedProposerGivesUpItsPlaceWhateverIsLeft() external {
        stakeFor(SECOND, 5 * STAKE);
        postRootAs(SECOND, keccak256("bad"));
        convict(1, CHALLENGER);
        assertActive(list(FIRST));
        vm.assertEq(registry.stakeOf(SECOND), 5 * STAKE);
    }

    function test_slashTakesBondedMoneyFirst() external {
        stakeFor(SECOND, STAKE);
        unbond(SECOND, STAKE);
        assertActive(list(FIRST, SECOND));
        postRootAs(SECOND, keccak256("bad"));
        convict(1, CHALLENGER);
        assertActive(list(FIRST));
        StakeRegistry.Stake memory stake = registry.stakeDetails(SECOND);
        vm.assertEq(stake.bonded, 0);
        vm.assertEq(stake.unbonding, STAKE);
    }

    function test_finalBatchIsSlashedOnce() external {
        stakeFor(SECOND, STAKE);
        postRootAs(SECOND, keccak256("one"));
        vm.warp(_start + WINDOW);
        chain.finalise(1);
        vm.startPrank(DISPUTE);
        registry.slashProposer(SECOND, 1, CHALLENGER);
        registry.slashProposer(SECOND, 1, CHALLENGER);
        vm.stopPrank();
        vm.assertEq(registry.slashCount(), 1);
        vm.assertEq(registry.stakeOf(SECOND), STAKE);
    }

    /// @notice Proposer, challenger and the pool's only shareholder in one: half of stake and bond is gone.
    function test_selfChallengeLosesHalf() external {
        joinPool(SECOND, 1_000);
        uint256 shares = pool.balanceOf(SECOND);
        uint256 before = STAKE + 1_000;
        postRootAs(SECOND, keccak256("bad"));
        convict(1, SECOND);
        registry.payPool();
        registry.payReward(SECOND);
        registry.burnSlashed();
        uint256 owned = registry.stakeOf(SECOND) + usdc.balanceOf(SECOND) + pool.convertToAssets(shares);
        vm.assertGe(before - STAKE / 2, owned, "owned afterwards");
        vm.assertEq(usdc.balanceOf(BURN), STAKE / 2);
    }

    function testFuzz_slashSplit(uint256 stake, uint256 extra) external {
        stake = 1 + stake % 1e15;
        extra %= 1e15;
        StakeTerms memory terms = stakeTermsOf(chain);
        terms.minimumStake = stake;
        registry = new StakeRegistry(terms, list(FIRST));
        stakeFor(FIRST, stake + extra);
        vm.prank(DISPUTE);
        registry.slashProposer(FIRST, 1, CHALLENGER);
        Slash memory slash = registry.slashAt(0);
        vm.assertEq(slash.taken, stake);
        vm.assertEq(uint256(slash.burnt), (stake + 1) / 2, "burnt, rounded up");
        vm.assertEq(uint256(slash.reward), (stake / 2) / 2, "reward, rounded down");
        vm.assertEq(slash.burnt + slash.reward + registry.poolDue(), stake);
        vm.assertEq(registry.stakeOf(FIRST), extra);
    }

    // ── promises ───────────────────────────────────────────────────────────────────────────────────────────────────

    function test_promises() external {
        stakeFor(SEQUENCER, STAKE);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.CallerNotReceiptCourt.selector, address(this)));
        registry.slashPromise(SEQUENCER, 1, ALICE);
        vm.startPrank(COURT);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.NotTheSequencer.selector, FIRST));
        registry.slashPromise(FIRST, 1, ALICE);
        vm.expectRevert(StakeRegistry.AddressZero.selector);
        registry.slashPromise(SEQUENCER, 1, address(0));
        vm.assertEq(registry.slashPromise(SEQUENCER, 300, ALICE), 300);
        vm.assertEq(registry.slashPromise(SEQUENCER, 2 * STAKE, BOB), STAKE - 300);
        vm.assertEq(registry.slashPromise(SEQUENCER, 1, BOB), 0);
        vm.stopPrank();
        vm.assertEq(usdc.balanceOf(ALICE), 300);
        vm.assertEq(usdc.balanceOf(BOB), STAKE - 300);
        vm.assertEq(registry.slashCount(), 3);
        vm.assertEq(registry.slashAt(1).staker, SEQUENCER);
        vm.assertEq(registry.slashAt(1).beneficiary, BOB);
        vm.assertEq(registry.totalStake(), 2 * STAKE);
    }

    function test_lockHoldsTheSequencersStake() external {
        stakeFor(SEQUENCER, STAKE);
        unbond(SEQUENCER, STAKE);
        uint64 until = _start + UNBONDING + 3 days;
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.CallerNotReceiptCourt.selector, ALICE));
        vm.prank(ALICE);
        registry.lockUntil(SEQUENCER, until);
        vm.startPrank(COURT);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.NotTheSequencer.selector, SECOND));
        registry.lockUntil(SECOND, until);
        registry.lockUntil(SEQUENCER, until);
        registry.lockUntil(SEQUENCER, until - 1 days);
        vm.stopPrank();
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.StillLocked.selector, until));
        vm.prank(SEQUENCER);
        registry.withdraw();
        vm.prank(COURT);
        registry.slashPromise(SEQUENCER, STAKE / 2, ALICE);
        vm.warp(until);
        vm.prank(SEQUENCER);
        registry.withdraw();
        vm.assertEq(usdc.balanceOf(SEQUENCER), STAKE / 2);
    }

    /// @notice The sequencer's stake is no proposer's place unless it was admitted as one.
    function test_sequencersStakeTakesNoTurns() external {
        stakeFor(SEQUENCER, 10 * STAKE);
        assertActive(list(FIRST, SECOND));
    }

    // ── hostile tokens ─────────────────────────────────────────────────────────────────────────────────────────────

    function test_tokensThatArriveShortAreRefused() external {
        deployStakeWith(new FeeToken());
        usdc.mint(ALICE, 1_000);
        vm.startPrank(ALICE);
        usdc.approve(address(registry), 1_000);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.DepositMismatch.selector, 990, 1_000));
        registry.deposit(1_000);
        vm.stopPrank();
        deployStakeWith(new IdleToken());
        usdc.mint(ALICE, 1_000);
        vm.startPrank(ALICE);
        usdc.approve(address(registry), 1_000);
        vm.expectRevert(abi.encodeWithSelector(StakeRegistry.DepositMismatch.selector, 0, 1_000));
        registry.deposit(1_000);
        vm.stopPrank();
    }

    /// @notice A token that pays none of these parties must not save a fraudulent batch.
    function test_aTokenThatRefusesSavesNoFraud() external {
        RefusingToken refusing = new RefusingToken();
        deployStakeWith(refusing);
        stakeFor(FIRST, STAKE);
        stakeFor(SECOND, STAKE);
        postRootAs(SECOND, keccak256("bad"));
        address[4] memory parties = [BURN, address(pool), CHALLENGER, address(registry)];
        for (uint256 i = 0; i < 4; ++i) {
            refusing.refuse(parties[i], true);
        }
        convict(1, CHALLENGER);
        vm.assertEq(chain.lastNumber(), 0);
        vm.assertEq(registry.stakeOf(SECOND), 0);
        // One that stays refused is in nobody else's way.
        refusing.refuse(BURN, false);
        registry.burnSlashed();
        vm.expectRevert(abi.encodeWithSelector(RefusingToken.Refused.selector, address(pool)));
        registry.payPool();
        vm.expectRevert(abi.encodeWithSelector(RefusingToken.Refused.selector, CHALLENGER));
        registry.payReward(CHALLENGER);
        refusing.refuse(CHALLENGER, false);
        registry.payReward(CHALLENGER);
        vm.assertEq(usdc.balanceOf(CHALLENGER), STAKE / 4);
        vm.assertEq(registry.poolDue(), STAKE / 4);
    }

    function test_reentrancyIsRefused() external {
        HookToken hook = new HookToken();
        deployStakeWith(hook);
        stakeFor(FIRST, STAKE);
        stakeFor(SECOND, STAKE);
        postRootAs(SECOND, keccak256("bad"));
        convict(1, address(hook));
        unbond(FIRST, STAKE);
        vm.warp(_start + UNBONDING);
        bytes[6] memory calls = [
            abi.encodeCall(StakeRegistry.withdraw, ()),
            abi.encodeCall(StakeRegistry.payReward, (address(hook))),
            abi.encodeCall(StakeRegistry.burnSlashed, ()),
            abi.encodeCall(StakeRegistry.payPool, ()),
            abi.encodeCall(StakeRegistry.requestUnbond, (1)),
            abi.encodeCall(StakeRegistry.deposit, (1))
        ];
        usdc.mint(address(this), 10);
        usdc.approve(address(registry), 10);
        for (uint256 i = 0; i < calls.length; ++i) {
            hook.arm(address(registry), calls[i]);
            registry.depositFor(THIRD, 1);
            assertGuarded(hook);
        }
        hook.arm(address(registry), calls[0]);
        registry.payReward(address(hook));
        assertGuarded(hook);
        hook.arm(address(registry), calls[1]);
        registry.payPool();
        assertGuarded(hook);
        hook.arm(address(registry), calls[1]);
        registry.burnSlashed();
        assertGuarded(hook);
        hook.arm(address(registry), calls[0]);
        vm.prank(FIRST);
        registry.withdraw();
        assertGuarded(hook);
        vm.assertEq(usdc.balanceOf(FIRST), STAKE);
    }

    function assertGuarded(HookToken hook) private view {
        vm.assertFalse(hook.succeeded());
        vm.assertEq(hook.answer(), abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
    }
}
